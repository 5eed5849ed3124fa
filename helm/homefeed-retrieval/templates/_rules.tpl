{{- /* Matchers of this release's own series. Any Prometheus that finds pods labels them so, whatever
else it adds; the name of a pod is that of the Deployment, a hash and five characters. Kubernetes
cuts a name off where that would be too long. A canary answers users too, so its series count. */ -}}
{{- define "homefeed.series" -}}
{{- $name := include "homefeed.fullname" . -}}
{{- $canary := .Values.canary.enabled | ternary "-canary" "" -}}
{{- $pod := printf "%s-[a-z0-9]+-[a-z0-9]{5}" ($canary | empty | ternary "" (printf "(%s)?" $canary)) -}}
{{- $rest := ternary $pod ".+" (le (len (print $name $canary)) 46) -}}
namespace="{{ .Release.Namespace }}", pod=~"{{ trunc 46 $name }}{{ $rest }}"
{{- end -}}

{{- /* Labels that tell the recorded series and the alerts of one release from another's. */ -}}
{{- define "homefeed.ruleLabels" -}}
namespace: {{ .Release.Namespace }}
service: {{ include "homefeed.fullname" . }}
{{- end -}}

{{- /* One alert: (dict "root" $ "alert" "Name" "severity" "warning" "for" "5m" "expr" "…" "summary" "…"
"description" "…"), and "labels" beside the usual ones. Prometheus expands the texts too. */ -}}
{{- define "homefeed.alert" -}}
- alert: {{ .alert }}
  expr: |
    {{- .expr | trim | nindent 4 }}
  {{- with .for }}
  for: {{ . }}
  {{- end }}
  labels:
    severity: {{ .severity }}
    {{- include "homefeed.ruleLabels" .root | nindent 4 }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    summary: {{ .summary | quote }}
    description: {{ .description | quote }}
    runbook_url: {{ printf "%s/%s.md" (trimSuffix "/" .root.Values.prometheusRule.runbooks) .alert }}
{{ end -}}

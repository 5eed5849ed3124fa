{{- /* The constraints given, on the Deployment's own pods where they do not say on which. Pods of an
earlier revision go away, so they do not count, from the Kubernetes on that can tell them apart. */ -}}
{{- define "homefeed.topologySpreadConstraints" -}}
{{- $own := dict "labelSelector" (dict "matchLabels" (include "homefeed.selectorLabels" . | fromYaml)) -}}
{{- if semverCompare ">=1.27-0" .Capabilities.KubeVersion.Version -}}
{{- $_ := set $own "matchLabelKeys" (list "pod-template-hash") -}}
{{- end -}}
{{- range .Values.topologySpreadConstraints }}
{{- $constraint := . -}}
{{- if not (hasKey . "labelSelector") -}}
{{- $constraint = merge dict . $own -}}
{{- end }}
- {{ toYaml $constraint | nindent 2 | trim }}
{{- end -}}
{{- end -}}

{{- define "homefeed.checkAutoscaling" -}}
{{- with .Values.autoscaling -}}
{{- if .enabled -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas=%d is more than autoscaling.maxReplicas=%d: give a maximum of at least the minimum" (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- if not (or .cpuPercent .requestsPerSecond) -}}
{{- fail "autoscaling.cpuPercent and autoscaling.requestsPerSecond are both 0: nothing says how many pods there should be; give one of them, or set autoscaling.enabled=false and replicaCount" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

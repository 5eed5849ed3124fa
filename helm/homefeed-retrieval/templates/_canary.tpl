{{- /* Labels of the pods of one track: (dict "root" $ "track" "canary") */ -}}
{{- define "homefeed.trackLabels" -}}
{{ include "homefeed.selectorLabels" .root }}
track: {{ .track }}
{{- end -}}

{{- /* A Service that leads to one track alone: (dict "root" $ "track" "canary") */ -}}
{{- define "homefeed.trackService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "homefeed.suffixedName" (dict "root" .root "suffix" .track) }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "homefeed.labels" .root | nindent 4 }}
spec:
  type: ClusterIP
  selector: {{- include "homefeed.trackLabels" . | nindent 4 }}
  ports:
    - name: http
      port: {{ .root.Values.service.port }}
      targetPort: http
{{- end -}}

{{- /* What `helm test` asks: each track where there are two. */ -}}
{{- define "homefeed.testedUrls" -}}
{{- $port := int .Values.service.port -}}
{{- if .Values.canary.enabled -}}
{{- range $place, $track := list "stable" "canary" -}}
{{- $place | eq 0 | ternary "" "," -}}
http://{{ include "homefeed.suffixedName" (dict "root" $ "suffix" $track) }}:{{ $port }}
{{- end -}}
{{- else -}}
http://{{ include "homefeed.fullname" . }}:{{ $port }}
{{- end -}}
{{- end -}}

{{- define "homefeed.checkCanary" -}}
{{- if hasKey .Values.podLabels "track" -}}
{{- fail (printf "podLabels.track=%s: the chart sets this label itself, to stable or canary; give yours another name" .Values.podLabels.track) -}}
{{- end -}}
{{- with .Values.canary -}}
{{- if .enabled -}}
{{- if not .release -}}
{{- fail (printf "canary.release is empty: give it the version or channel that the canary shall serve beside release.version=%s, or set canary.enabled=false" $.Values.release.version) -}}
{{- end -}}
{{- if eq .release $.Values.release.version -}}
{{- fail (printf "canary.release=%s is release.version=%s too: stable and canary would serve one release; give canary.release another version or channel, or set canary.enabled=false" .release $.Values.release.version) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs is empty: no Gateway would take the route; name it, such as - {name: gateway, namespace: gateways}, or set httpRoute.enabled=false" -}}
{{- end -}}
{{- end -}}

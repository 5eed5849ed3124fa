{{- /* Not empty where pods follow a channel; a version stays what it is. */ -}}
{{- define "homefeed.follows" -}}
{{- with .Values.release -}}
{{- if and .followSeconds (regexMatch "^[a-z]" .version) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- /* It has the store and its credentials, so that the containers that answer need neither. */ -}}
{{- define "homefeed.followContainer" -}}
name: follow-release
image: {{ include "homefeed.image" (dict "root" . "image" .Values.image.torchserve) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [python, -m, serving.follow_release]
args:
  - --store={{ default "file:///store" .Values.release.store }}
  - --channel={{ .Values.release.version }}
  - --to=/release/current
  - --seconds={{ int .Values.release.followSeconds }}
  - --timeout-seconds={{ int .Values.release.timeoutSeconds }}
{{- if .Values.sidecar.native }}
restartPolicy: Always
{{- end }}
{{- with .Values.release.env }}
env:
  {{- range $name, $value := . }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
{{- end }}
{{- with .Values.release.credentialsSecret }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
{{- /* It waits nearly all of the time, and nobody waits for it. */}}
resources:
  requests: &follow
    cpu: 100m
    memory: {{ .Values.release.memory }}
  limits: *follow
securityContext: {{- include "homefeed.containerSecurityContext" . | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  - name: release
    mountPath: /release
  - name: fetch-tmp
    mountPath: /tmp
  {{- if .Values.release.existingClaim }}
  - name: store
    mountPath: /store
    readOnly: true
  {{- end }}
{{- end -}}

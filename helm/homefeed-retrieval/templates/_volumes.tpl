{{- /* All that containers can write to; what lies in memory counts against theirs. */ -}}
{{- define "homefeed.volumes" -}}
- name: config
  configMap:
    name: {{ include "homefeed.fullname" . }}
- name: release
  emptyDir:
    sizeLimit: {{ .Values.release.sizeLimit }}
- name: socket
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
- name: handler-metrics
  emptyDir:
    medium: Memory
    sizeLimit: 64Mi
- name: fetch-tmp
  emptyDir:
    sizeLimit: 64Mi
- name: torchserve-tmp
  emptyDir:
    sizeLimit: 256Mi
{{- with .Values.release.existingClaim }}
- name: store
  persistentVolumeClaim:
    claimName: {{ . }}
    readOnly: true
{{- end }}
{{- end -}}

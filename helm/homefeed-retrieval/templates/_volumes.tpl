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
{{- if .Values.events.enabled }}
{{- /* What Kubernetes would mount into every container; only the fetch leaves events. */}}
- name: api-access
  projected:
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
{{- end }}
{{- end -}}

{{- /* A Deployment's spec but for how many pods and which: (dict "root" $ "track" "stable"). The pods of
every track are alike, but for that label and the release that root's values name. */ -}}
{{- define "homefeed.deploymentSpec" -}}
{{- $track := .track -}}
{{- with .root -}}
# Longer than a pod may take to fetch and load, or a large release would count as failed.
progressDeadlineSeconds: {{ add .Values.release.timeoutSeconds (mul 2 .Values.startupSeconds) 120 }}
strategy:
  rollingUpdate:
    maxSurge: 1
    maxUnavailable: 0
template:
  metadata:
    labels:
      {{- include "homefeed.trackLabels" (dict "root" . "track" $track) | nindent 6 }}
      {{- with .Values.podLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    annotations:
      # Pods read their configuration when they start, so a new one takes new pods.
      checksum/config: {{ include (print .Template.BasePath "/configmap.yaml") . | sha256sum }}
      {{- with .Values.podAnnotations }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
  spec:
    serviceAccountName: {{ include "homefeed.serviceAccountName" . }}
    automountServiceAccountToken: false
    enableServiceLinks: false
    securityContext: {{- include "homefeed.podSecurityContext" . | nindent 6 }}
    terminationGracePeriodSeconds: {{ add .Values.drainSeconds .Values.torchserve.responseTimeoutSeconds 10 }}
    {{- with .Values.imagePullSecrets }}
    imagePullSecrets: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.priorityClassName }}
    priorityClassName: {{ . }}
    {{- end }}
    initContainers:
      - {{ include "homefeed.fetchContainer" . | nindent 8 | trim }}
      {{- if .Values.sidecar.native }}
      - {{ include "homefeed.sidecarContainer" . | nindent 8 | trim }}
      {{- if include "homefeed.follows" . }}
      - {{ include "homefeed.followContainer" . | nindent 8 | trim }}
      {{- end }}
      {{- end }}
    containers:
      - {{ include "homefeed.torchserveContainer" . | nindent 8 | trim }}
      {{- if not .Values.sidecar.native }}
      - {{ include "homefeed.sidecarContainer" . | nindent 8 | trim }}
      {{- if include "homefeed.follows" . }}
      - {{ include "homefeed.followContainer" . | nindent 8 | trim }}
      {{- end }}
      {{- end }}
    volumes: {{- include "homefeed.volumes" . | nindent 6 }}
    {{- with .Values.nodeSelector }}
    nodeSelector: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.tolerations }}
    tolerations: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.topologySpreadConstraints }}
    topologySpreadConstraints: {{- include "homefeed.topologySpreadConstraints" $.root | trim | nindent 6 }}
    {{- end }}
    {{- with include "homefeed.affinity" . | fromYaml }}
    affinity: {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end -}}
{{- end -}}

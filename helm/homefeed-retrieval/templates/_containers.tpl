{{- define "homefeed.fetchContainer" -}}
name: fetch-release
image: {{ include "homefeed.image" (dict "root" . "image" .Values.image.torchserve) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [python, -m, serving.fetch_release]
args:
  - --store={{ default "file:///store" .Values.release.store }}
  - --version={{ .Values.release.version }}
  # A link to the folder of the release, which appears beside it when it is whole.
  - --to=/release/current
  - --timeout-seconds={{ int .Values.release.timeoutSeconds }}
{{- if .Values.events.enabled }}
  - --api-access=/var/run/secrets/kubernetes.io/serviceaccount
{{- end }}
{{- if or .Values.release.env .Values.events.enabled }}
env:
  {{- range $name, $value := .Values.release.env }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
  {{- if .Values.events.enabled }}
  {{- range $name, $field := dict "POD_NAME" "name" "POD_NAMESPACE" "namespace" "POD_UID" "uid" }}
  - name: {{ $name }}
    valueFrom:
      fieldRef:
        fieldPath: metadata.{{ $field }}
  {{- end }}
  {{- end }}
{{- end }}
{{- with .Values.release.credentialsSecret }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
resources: {{- include "homefeed.resources" (dict "root" . "memory" .Values.release.memory) | nindent 2 }}
securityContext: {{- include "homefeed.containerSecurityContext" . | nindent 2 }}
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
  {{- if .Values.events.enabled }}
  - name: api-access
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
  {{- end }}
{{- end -}}

{{- define "homefeed.sidecarContainer" -}}
name: faiss
image: {{ include "homefeed.image" (dict "root" . "image" .Values.image.indexSidecar) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [python, -m, serving.index_sidecar]
args:
  - --release=/release/current
  - --socket=/run/homefeed/search.sock
  - --metrics-host=0.0.0.0
  - --metrics-port=9100
  - --search-threads={{ int .Values.cpus }}
  - --max-waiting={{ int .Values.sidecar.queueSize }}
  - --deadline-seconds={{ divf .Values.sidecar.deadlineMilliseconds 1000 }}
  - --recall-share={{ divf .Values.sidecar.recallSamplePercent 100 }}
{{- if .Values.sidecar.native }}
restartPolicy: Always
{{- end }}
ports:
  - name: sidecar-metrics
    containerPort: 9100
startupProbe:
  httpGet: {path: /readyz, port: sidecar-metrics}
  periodSeconds: 1
  failureThreshold: {{ int .Values.startupSeconds }}
readinessProbe:
  httpGet: {path: /readyz, port: sidecar-metrics}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /healthz, port: sidecar-metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- if not .Values.sidecar.native }}
lifecycle:
  preStop:
    # TorchServe is told to end at the same time, and asks it until its last request is answered.
    exec:
      command: [sleep, {{ add .Values.drainSeconds .Values.torchserve.responseTimeoutSeconds | quote }}]
{{- end }}
resources: {{- include "homefeed.resources" (dict "root" . "memory" .Values.sidecar.memory) | nindent 2 }}
securityContext: {{- include "homefeed.containerSecurityContext" . | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  - name: release
    mountPath: /release
    readOnly: true
  - name: socket
    mountPath: /run/homefeed
{{- end -}}

{{- define "homefeed.torchserveContainer" -}}
name: torchserve
image: {{ include "homefeed.image" (dict "root" . "image" .Values.image.torchserve) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [python, -m, serving.torchserve]
args:
  - --settings=/etc/homefeed/torchserve.yaml
env:
  - name: HOMEFEED_RELEASE
    value: /release/current
  - name: HOMEFEED_SOCKET
    value: /run/homefeed/search.sock
  - name: HOMEFEED_METRICS_ADDRESS
    value: 0.0.0.0:8083
  - name: PROMETHEUS_MULTIPROC_DIR
    value: /run/handler-metrics
  - name: OMP_NUM_THREADS
    value: {{ include "homefeed.torchThreads" . | quote }}
  - name: OMP_WAIT_POLICY
    value: passive
  # It goes before what the command line says.
  - name: _JAVA_OPTIONS
    value: -Xmx{{ include "homefeed.mebibytes" .Values.torchserve.javaHeap }}m
  {{- with .Values.users.redis }}
  {{- if and .url .passwordSecret }}
  - name: HOMEFEED_REDIS_PASSWORD
    valueFrom:
      secretKeyRef:
        name: {{ .passwordSecret }}
        key: {{ .passwordKey }}
  {{- end }}
  {{- end }}
ports:
  - name: http
    containerPort: 8080
  - name: metrics
    containerPort: 8082
  - name: handler-metrics
    containerPort: 8083
{{- /* One check, three degrees of patience: any pod may miss a beat, one that loads needs its time, and
only one whose workers stay away for longer than they need to load is started anew. */}}
startupProbe:
  exec: &ready
    command: [python, -m, serving.torchserve.ready, "http://127.0.0.1:8081/models/homefeed"]
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: {{ div (add .Values.startupSeconds 30) 2 }}
readinessProbe:
  exec: *ready
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
livenessProbe:
  exec: *ready
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: {{ add 3 (div .Values.startupSeconds 20) }}
lifecycle:
  preStop:
    exec:
      command: [sleep, {{ .Values.drainSeconds | quote }}]
resources: {{- include "homefeed.resources" (dict "root" . "memory" .Values.torchserve.memory) | nindent 2 }}
securityContext: {{- include "homefeed.containerSecurityContext" . | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  - name: config
    mountPath: /etc/homefeed
    readOnly: true
  - name: release
    mountPath: /release
    readOnly: true
  - name: socket
    mountPath: /run/homefeed
    readOnly: true
  - name: handler-metrics
    mountPath: /run/handler-metrics
  - name: torchserve-tmp
    mountPath: /tmp
{{- end -}}

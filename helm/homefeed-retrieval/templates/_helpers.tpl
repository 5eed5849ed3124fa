{{- define "homefeed.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Name of an object beside the main one: (dict "root" $ "suffix" "metrics") */ -}}
{{- define "homefeed.suffixedName" -}}
{{- $room := int (sub 62 (len .suffix)) -}}
{{- printf "%s-%s" (include "homefeed.fullname" .root | trunc $room | trimSuffix "-") .suffix -}}
{{- end -}}

{{- define "homefeed.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 57 | trimSuffix "-" -}}
{{- end -}}

{{- define "homefeed.selectorLabels" -}}
app.kubernetes.io/name: {{ include "homefeed.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "homefeed.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: homefeed
{{- end -}}

{{- define "homefeed.labels" -}}
{{ include "homefeed.selectorLabels" . }}
{{ include "homefeed.commonLabels" . }}
{{- end -}}

{{- define "homefeed.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "homefeed.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* The reference of an image: (dict "root" $ "image" .Values.image.torchserve) */ -}}
{{- define "homefeed.image" -}}
{{- $base := printf "%s/%s" .root.Values.image.registry .image.repository -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $base .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $base (default .root.Chart.AppVersion .root.Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- /* A quantity such as 512Mi or 2Gi in MiB. */ -}}
{{- define "homefeed.mebibytes" -}}
{{- if hasSuffix "Gi" . -}}
{{- mul 1024 (trimSuffix "Gi" . | int) -}}
{{- else -}}
{{- trimSuffix "Mi" . -}}
{{- end -}}
{{- end -}}

{{- /* Threads of the tower in each worker: all workers together use the CPUs there are. */ -}}
{{- define "homefeed.torchThreads" -}}
{{- div (int .Values.cpus) (int .Values.torchserve.workers) -}}
{{- end -}}

{{- /* Request and limit of a container: (dict "root" $ "memory" "2Gi") */ -}}
{{- define "homefeed.resources" -}}
requests:
  cpu: {{ default .root.Values.cpus .root.Values.cpuRequest | quote }}
  memory: {{ .memory }}
limits:
  cpu: {{ .root.Values.cpus | quote }}
  memory: {{ .memory }}
{{- end -}}

{{- define "homefeed.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ int .Values.user }}
runAsGroup: {{ int .Values.user }}
fsGroup: {{ int .Values.user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- /* What restricted Pod Security asks of a container, and a root that nothing can write to. */ -}}
{{- define "homefeed.containerSecurityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

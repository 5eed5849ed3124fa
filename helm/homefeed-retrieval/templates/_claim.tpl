{{- /* Access modes of the store's claim, those of its volume where it has one; nothing where there is
no such claim, or no cluster to ask. */ -}}
{{- define "homefeed.accessModes" -}}
{{- with .Values.release.existingClaim -}}
{{- with lookup "v1" "PersistentVolumeClaim" $.Release.Namespace . -}}
{{- join " " (default .spec.accessModes (dig "status" "accessModes" list .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The affinity given. Where only one node can mount the store's claim, all pods go to one: a pod
of a rollout on another node would wait for the volume, and the others for that pod. */ -}}
{{- define "homefeed.affinity" -}}
{{- $affinity := deepCopy .Values.affinity -}}
{{- $modes := include "homefeed.accessModes" . -}}
{{- $isOnOneNode := and $modes (not (contains "Many" $modes)) -}}
{{- if and $isOnOneNode (not (hasKey $affinity "podAffinity")) -}}
{{- $own := dict "matchLabels" (include "homefeed.selectorLabels" . | fromYaml) -}}
{{- $together := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" $own -}}
{{- $required := dict "requiredDuringSchedulingIgnoredDuringExecution" (list $together) -}}
{{- $_ := set $affinity "podAffinity" $required -}}
{{- end -}}
{{- toYaml $affinity -}}
{{- end -}}

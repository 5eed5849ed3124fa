{{- /* Values that fit the schema each, but not each other. */ -}}
{{- define "homefeed.checks" -}}
{{- include "homefeed.checkCluster" . -}}
{{- with .Values.release -}}
{{- if not (or .store .existingClaim) -}}
{{- fail "release.store and release.existingClaim are both empty: give release.store the URL of an object store (s3://bucket/prefix), or release.existingClaim the PersistentVolumeClaim that holds the store" -}}
{{- end -}}
{{- if and .existingClaim .store (not (regexMatch "^file:///store(/|$)" .store)) -}}
{{- fail (printf "release.store=%s is not on the claim release.existingClaim=%s, which is mounted on /store: give file:///store/…, or leave one of them empty" .store .existingClaim) -}}
{{- end -}}
{{- if and (hasPrefix "file:" .store) (not .existingClaim) -}}
{{- fail (printf "release.store=%s is a folder, but no volume holds it: give release.existingClaim the PersistentVolumeClaim that does" .store) -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.image.tag "latest" -}}
{{- fail "image.tag=latest changes its content, so pods of one release would differ: give a version, or the digests of the images" -}}
{{- end -}}
{{- with .Values.torchserve -}}
{{- $deadline := int $.Values.sidecar.deadlineMilliseconds -}}
{{- if ge $deadline (mul 1000 .responseTimeoutSeconds | int) -}}
{{- fail (printf "sidecar.deadlineMilliseconds=%d must be below torchserve.responseTimeoutSeconds=%d: TorchServe would replace the worker that waits for the sidecar" $deadline (int .responseTimeoutSeconds)) -}}
{{- end -}}
{{- $redis := $.Values.users.redis -}}
{{- if and $redis.url (ge (add $deadline (int $redis.deadlineMilliseconds) | int) (mul 1000 .responseTimeoutSeconds | int)) -}}
{{- fail (printf "users.redis.deadlineMilliseconds=%d and sidecar.deadlineMilliseconds=%d must together be below torchserve.responseTimeoutSeconds=%d: TorchServe would replace the worker that waits for both" (int $redis.deadlineMilliseconds) $deadline (int .responseTimeoutSeconds)) -}}
{{- end -}}
{{- if gt (int .workers) (int $.Values.cpus) -}}
{{- fail (printf "torchserve.workers=%d is more than cpus=%d: workers would compete for the same CPUs; give more cpus or fewer workers" (int .workers) (int $.Values.cpus)) -}}
{{- end -}}
{{- /* A worker has 250 MiB once torch is loaded, and the JVM 100 MiB beside its heap. */ -}}
{{- $memory := include "homefeed.mebibytes" .memory | int -}}
{{- $needed := add (include "homefeed.mebibytes" .javaHeap | int) (mul 384 (int .workers)) | int -}}
{{- if lt $memory $needed -}}
{{- fail (printf "torchserve.memory=%s is too small: torchserve.javaHeap=%s and %d torchserve.workers need at least %dMi" .memory .javaHeap (int .workers) $needed) -}}
{{- end -}}
{{- end -}}
{{- include "homefeed.checkMonitoring" . -}}
{{- include "homefeed.checkNetworkPolicy" . -}}
{{- include "homefeed.checkAutoscaling" . -}}
{{- include "homefeed.checkCanary" . -}}
{{- if and .Values.sidecar.native (semverCompare "<1.29-0" .Capabilities.KubeVersion.Version) -}}
{{- fail (printf "sidecar.native=true needs Kubernetes 1.29, this is %s: set sidecar.native=false" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}

{{- /* What pods would wait for without an end. It is looked up where there is a cluster to ask, whose
every namespace has this ConfigMap, and unless an object given here may yet make it. Who reads it in a
namespace that is not there yet (--create-namespace) may read it in every other. */ -}}
{{- define "homefeed.checkCluster" -}}
{{- $namespace := .Release.Namespace -}}
{{- $kinds := list -}}
{{- range .Values.extraObjects -}}
{{- $kinds = append $kinds .kind -}}
{{- end -}}
{{- $isThere := lookup "v1" "ConfigMap" $namespace "kube-root-ca.crt" -}}
{{- if or $isThere (lookup "v1" "ConfigMap" "kube-system" "kube-root-ca.crt") -}}
{{- with .Values.release.credentialsSecret -}}
{{- if not (or (regexMatch "Secret" (join " " $kinds)) (lookup "v1" "Secret" $namespace .)) -}}
{{- $first := $isThere | empty | not | ternary "" (printf "kubectl create namespace %s; " $namespace) -}}
{{- fail (printf "release.credentialsSecret=%s: namespace %s has no such Secret; create it first: %skubectl --namespace %s create secret generic %s --from-literal=AWS_ACCESS_KEY_ID=… --from-literal=AWS_SECRET_ACCESS_KEY=…" . $namespace $first $namespace .) -}}
{{- end -}}
{{- end -}}
{{- with .Values.release.existingClaim -}}
{{- $modes := include "homefeed.accessModes" $ -}}
{{- if not (or (has "PersistentVolumeClaim" $kinds) $modes) -}}
{{- fail (printf "release.existingClaim=%s: namespace %s has no such PersistentVolumeClaim; create it and publish a release to it first" . $namespace) -}}
{{- end -}}
{{- if eq $modes "ReadWriteOncePod" -}}
{{- fail (printf "release.existingClaim=%s is ReadWriteOncePod: a second pod, as every rollout starts one, would wait for ever; make the claim anew as ReadWriteOnce, or as ReadWriteMany for several nodes" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

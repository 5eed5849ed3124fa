{{- /* One rule: (dict "to" peers "ports" numbers) */ -}}
{{- define "homefeed.egress" -}}
- to: {{- toYaml .to | nindent 4 }}
  ports:
    {{- range .ports }}
    - port: {{ int . }}
    {{- end }}
{{- end -}}

{{- /* Not empty where no network lies between pods and the release store, as far as they see. */ -}}
{{- define "homefeed.storeIsOnClaim" -}}
{{- with .Values.release -}}
{{- if or (not .store) (hasPrefix "file:" .store) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- define "homefeed.redisPort" -}}
{{- regexFind ":[0-9]+([/?]|$)" .Values.users.redis.url | trimAll ":/?" | default "6379" -}}
{{- end -}}

{{- /* Whom a policy leaves out by oversight, the pods would wait for. */ -}}
{{- define "homefeed.checkNetworkPolicy" -}}
{{- with .Values.networkPolicy -}}
{{- if .enabled -}}
{{- if not .clients -}}
{{- fail "networkPolicy.clients is empty: nobody could ask the REST API; give it the peers who may, such as namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: gateway}}, or podSelector: {} for every pod of the namespace" -}}
{{- end -}}
{{- if not .dns -}}
{{- fail "networkPolicy.dns is empty: pods could find no name; give it the peers that are name servers, such as namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}" -}}
{{- end -}}
{{- if not (or .store.to (include "homefeed.storeIsOnClaim" $)) -}}
{{- fail (printf "networkPolicy.store.to is empty: pods could not fetch a release from release.store=%s; give it the store's peers, such as ipBlock: {cidr: …}, and its ports" $.Values.release.store) -}}
{{- end -}}
{{- if and $.Values.users.redis.url (not .redis.to) -}}
{{- fail (printf "networkPolicy.redis.to is empty: pods could not ask users.redis.url=%s; give it the peers that are Redis, such as ipBlock: {cidr: …}" $.Values.users.redis.url) -}}
{{- end -}}
{{- if and $.Values.events.enabled (not .kubernetesApi.to) -}}
{{- fail "networkPolicy.kubernetesApi.to is empty: pods could leave no events, which events.enabled=true wants; give it the API servers' addresses (kubectl get endpoints kubernetes --namespace default), or set events.enabled=false" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

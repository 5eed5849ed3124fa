{{- /* Alerts on causes, which say where to look; the objectives say whether users notice. */ -}}
{{- define "homefeed.alertRules" -}}
{{- $series := include "homefeed.series" . -}}
{{- $name := include "homefeed.fullname" . -}}
{{- $limits := .Values.prometheusRule.limits -}}
{{- $failures := printf "homefeed_retrieval_sidecar_failures_total{%s, reason=%%q}" $series -}}
{{- $tracks := list $name -}}
{{- if .Values.canary.enabled -}}
{{- $tracks = append $tracks (include "homefeed.suffixedName" (dict "root" . "suffix" "canary")) -}}
{{- end -}}
{{- $deployment := printf "{namespace=%q, deployment=~%q}" .Release.Namespace (join "|" $tracks) -}}

{{- include "homefeed.alert" (dict "root" . "alert" "HomefeedDegraded" "severity" "warning" "for" "10m"
  "expr" (printf "sum(rate(homefeed_retrieval_requests_total{%s, outcome=\"degraded\"}[5m]))\n/\nsum(rate(homefeed_retrieval_requests_total{%s, outcome=~\"ok|degraded\"}[5m]))\n> %v" $series $series (divf $limits.degradedPercent 100))
  "summary" (printf "%s answers with popular pins" $name)
  "description" (printf "{{ $value | humanizePercentage }} of the answers are popular pins, as the sidecar did not answer; more than %v %% is too many." $limits.degradedPercent)) -}}

{{- include "homefeed.alert" (dict "root" . "alert" "HomefeedSidecarUnreachable" "severity" "warning" "for" "3m"
  "expr" (printf "sum by (pod) (rate(%s[2m])) > 0" (printf $failures "unreachable"))
  "summary" (printf "A sidecar of %s is down" $name)
  "description" "TorchServe of pod {{ $labels.pod }} has not reached its index sidecar for minutes.") -}}

{{- /* No pause: it never passes by itself, and each such answer is a wrong deployment. */ -}}
{{- include "homefeed.alert" (dict "root" . "alert" "HomefeedEmbeddingSpaceMismatch" "severity" "critical"
  "expr" (printf "sum by (pod) (increase(%s[5m])) > 0" (printf $failures "other_embedding_space"))
  "summary" (printf "Tower and index of a pod of %s are of two models" $name)
  "description" "The index sidecar of pod {{ $labels.pod }} refuses the vectors of its tower: they are of another embedding space.") -}}

{{- include "homefeed.alert" (dict "root" . "alert" "HomefeedIndexTooOld" "severity" "warning" "for" "15m"
  "expr" (printf "max by (version) (\n  (time() - homefeed_sidecar_index_created_timestamp_seconds{%s})\n  * on (namespace, pod) group_left (version)\n  homefeed_sidecar_index_info{%s}\n)\n> %v" $series $series (int $limits.indexAgeSeconds))
  "summary" (printf "The index of %s is too old" $name)
  "description" (printf "Release {{ $labels.version }} is {{ $value | humanizeDuration }} old; the limit is %d s." (int $limits.indexAgeSeconds))) -}}

{{- include "homefeed.alert" (dict "root" . "alert" "HomefeedReleaseRefused" "severity" "warning" "for" "5m"
  "expr" (printf "max by (reason) (homefeed_release_refused_info{%s}) > 0\nor\nsum by (reason) (increase(homefeed_sidecar_refused_releases_total{%s}[15m])) > 0" $series $series)
  "summary" (printf "%s does not take the release of its channel" $name)
  "description" "A release that the channel stands for does not take the place of the one that is served, by reason of: {{ $labels.reason }}.") -}}
{{- /* Over half an hour, as few searches are sampled; without any there is nothing to compare. */ -}}
{{- include "homefeed.alert" (dict "root" . "alert" "HomefeedRecallDrop" "severity" "warning" "for" "15m"
  "expr" (printf "sum(rate(homefeed_sidecar_recall_sum{%s}[30m]))\n/\nsum(rate(homefeed_sidecar_recall_count{%s}[30m]))\n< %v" $series $series (divf $limits.recallPercent 100))
  "summary" (printf "The index of %s misses too many of the best pins" $name)
  "description" (printf "Approximate searches find {{ $value | humanizePercentage }} of the pins that exact ones find; less than %v %% is too few." $limits.recallPercent)) -}}

{{- if .Values.users.redis.url -}}
{{- include "homefeed.alert" (dict "root" . "alert" "HomefeedRedisFailures" "severity" "warning" "for" "10m"
  "expr" (printf "sum(rate(homefeed_retrieval_redis_failures_total{%s}[5m]))\n/\nsum(rate(homefeed_retrieval_stage_seconds_count{%s, stage=\"hydrate\"}[5m]))\n> %v" $series $series (divf $limits.redisFailuresPercent 100))
  "summary" (printf "Redis does not answer %s" $name)
  "description" (printf "{{ $value | humanizePercentage }} of the batches took their users from the release, as Redis did not answer; more than %v %% is too many." $limits.redisFailuresPercent)) -}}
{{- end -}}

{{- /* Of kube-state-metrics; where there is none, HomefeedNotScraped stands in. */ -}}
{{- include "homefeed.alert" (dict "root" . "alert" "HomefeedNoReadyPod" "severity" "critical" "for" "2m"
  "expr" (printf "kube_deployment_status_replicas_available%s == 0\nand on (namespace, deployment)\nkube_deployment_spec_replicas%s > 0" $deployment $deployment)
  "summary" "{{ $labels.deployment }} has no ready pod"
  "description" "No pod of it answers requests: all that are led to it alone fail.") -}}

{{- include "homefeed.alert" (dict "root" . "alert" "HomefeedNotScraped" "severity" "critical" "for" "5m"
  "expr" (printf "absent(homefeed_retrieval_requests_total{%s})\nor\nabsent(homefeed_sidecar_index_info{%s})" $series $series)
  "summary" (printf "Prometheus has no metrics of %s" $name)
  "description" "No pod's handler, or no pod's sidecar, is scraped: they are down, or Prometheus does not find them. Other alerts are blind.") -}}

{{- include "homefeed.alert" (dict "root" . "alert" "HomefeedTargetDown" "severity" "warning" "for" "10m"
  "expr" (printf "count by (pod) (up{%s} == 0) > 0" $series)
  "summary" (printf "A pod of %s is not scraped" $name)
  "description" "Of the metrics ports of pod {{ $labels.pod }}, {{ $value }} have not answered Prometheus for ten minutes.") -}}
{{- end -}}

{{- /* The two objectives: the share of each that misses it over every window, and alerts on how fast
that uses up the error budget. Windows and factors are those of Google's SRE Workbook, chapter 5: a
long window says that it matters, the short one that it has not ended. */ -}}
{{- define "homefeed.objectiveRules" -}}
{{- $series := include "homefeed.series" . -}}
{{- $own := printf "{namespace=%q, service=%q}" .Release.Namespace (include "homefeed.fullname" .) -}}
{{- $objectives := .Values.prometheusRule.objectives -}}
{{- range $window := list "5m" "30m" "1h" "2h" "6h" "1d" "3d" }}
- record: homefeed:bad_answers:share_{{ $window }}
  expr: |
    (
      (sum(rate(Requests5XX{ {{- $series -}} }[{{ $window }}])) or vector(0))
      +
      (sum(rate(homefeed_retrieval_requests_total{ {{- $series }}, outcome="degraded"}[{{ $window }}])) or vector(0))
    )
    /
    sum(rate(ts_inference_requests_total{ {{- $series -}} }[{{ $window }}]))
  labels: {{- include "homefeed.ruleLabels" $ | nindent 4 }}
- record: homefeed:slow_batches:share_{{ $window }}
  expr: |
    1
    -
    sum(rate(homefeed_retrieval_stage_seconds_bucket{ {{- $series }}, stage="total", le="{{ include "homefeed.latencyBucket" $ }}"}[{{ $window }}]))
    /
    sum(rate(homefeed_retrieval_stage_seconds_count{ {{- $series }}, stage="total"}[{{ $window }}]))
  labels: {{- include "homefeed.ruleLabels" $ | nindent 4 }}
{{- end }}
{{ $bad := dict "alert" "HomefeedAnswersBudgetBurn" "share" "homefeed:bad_answers:share" "percent" $objectives.goodAnswersPercent "what" "of the requests failed or were answered with popular pins" -}}
{{- $slow := dict "alert" "HomefeedLatencyBudgetBurn" "share" "homefeed:slow_batches:share" "percent" $objectives.fastBatchesPercent "what" (printf "of the batches took longer than %v ms" $objectives.fastMilliseconds) -}}
{{- $burns := list
  (dict "long" "1h" "short" "5m" "factor" 14.4 "for" "2m" "severity" "critical")
  (dict "long" "6h" "short" "30m" "factor" 6 "for" "15m" "severity" "critical")
  (dict "long" "1d" "short" "2h" "factor" 3 "for" "1h" "severity" "warning")
  (dict "long" "3d" "short" "6h" "factor" 1 "for" "3h" "severity" "warning") -}}
{{- range $objective := list $bad $slow -}}
{{- $budget := divf (subf 100 $objective.percent) 100 -}}
{{- range $burn := $burns -}}
{{- $limit := mulf $burn.factor $budget -}}
{{- $expr := printf "%s_%s%s > %v\nand\n%s_%s%s > %v" $objective.share $burn.long $own $limit $objective.share $burn.short $own $limit -}}
{{- $summary := printf "The error budget of %s burns at %v times the rate that a month allows" (include "homefeed.fullname" $) $burn.factor -}}
{{- $description := printf "{{ $value | humanizePercentage }} %s in the last %s; the objective allows %v %%." $objective.what $burn.long (mulf 100 $budget) -}}
{{- include "homefeed.alert" (dict "root" $ "alert" $objective.alert "severity" $burn.severity "for" $burn.for "labels" (dict "window" $burn.long) "expr" $expr "summary" $summary "description" $description) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The bound of the histogram's bucket as prometheus-client writes it: whole seconds end in ".0". */ -}}
{{- define "homefeed.latencyBucket" -}}
{{- $seconds := divf .Values.prometheusRule.objectives.fastMilliseconds 1000 | toString -}}
{{- contains "." $seconds | ternary $seconds (printf "%s.0" $seconds) -}}
{{- end -}}

{{- define "homefeed.checkMonitoring" -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "serviceMonitor.enabled and podMonitor.enabled are both true: every pod would be scraped twice, and every request be counted twice; set one of them to false" -}}
{{- end -}}
{{- with .Values.prometheusRule -}}
{{- if .enabled -}}
{{- range $monitor := list "serviceMonitor" "podMonitor" -}}
{{- with index $.Values $monitor -}}
{{- /* A rate needs two scrapes, and the shortest window has two minutes. */ -}}
{{- if and .enabled (not (regexMatch "^([0-9]+ms|([1-9]|[1-5][0-9]|60)s|1m)$" .interval)) -}}
{{- fail (printf "%s.interval=%s is too long for the alerts of prometheusRule.enabled=true, which look at two minutes: give 1m or less" $monitor .interval) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $objective := list "goodAnswersPercent" "fastBatchesPercent" -}}
{{- $percent := index $.Values.prometheusRule.objectives $objective -}}
{{- /* What burns the error budget 14.4 times too fast must be below all requests. */ -}}
{{- if ge (mulf 14.4 (subf 100 $percent)) 100.0 -}}
{{- fail (printf "prometheusRule.objectives.%s=%v allows so much that not even all requests would burn its error budget fast enough for an alert: give 93.1 or more" $objective $percent) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

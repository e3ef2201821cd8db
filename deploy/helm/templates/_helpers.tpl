{{- define "credit.labels" -}}
app.kubernetes.io/name: credit-scoring
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "credit.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* What every container of ours shares: image, rights, a writable /tmp, the bundles. */ -}}
{{- define "credit.container" -}}
image: {{ include "credit.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{- toYaml .Values.containerSecurityContext | nindent 2 }}
{{- end }}

{{- define "credit.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: bundles, mountPath: /models, readOnly: true}
{{- end }}

{{- define "credit.volumes" -}}
- {name: tmp, emptyDir: {}}
- name: bundles
  persistentVolumeClaim: {claimName: {{ .Values.bundles.claim }}, readOnly: true}
{{- end }}

{{- define "credit.env" -}}
{{- range $name, $value := . }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

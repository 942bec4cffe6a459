{{- define "penstock.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "penstock.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "penstock.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "penstock.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "penstock.selector" -}}
app.kubernetes.io/name: {{ include "penstock.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "penstock.pods" -}}
{{ include "penstock.selector" . }}
app.kubernetes.io/component: gateway
{{- end -}}

{{- define "penstock.labels" -}}
{{ include "penstock.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "penstock.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "penstock.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "penstock.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* A value as text: YAML's numbers come as floats, and a large one would be 1e+07. */}}
{{- define "penstock.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{- printf "%.0f" . -}}{{- else -}}{{- toString . -}}{{- end -}}
{{- end -}}

{{/* Seconds of a duration such as 1500ms, 5s or 2m. */}}
{{- define "penstock.seconds" -}}
{{- if not (kindIs "string" .) -}}
{{- float64 . -}}
{{- else -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9.]+" $text -}}
{{- $unit := regexFind "[a-z]+$" $text -}}
{{- $factors := dict "" 1.0 "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0 -}}
{{- if or (not $number) (not (hasKey $factors $unit)) -}}
{{- fail (printf "%s is no duration such as 5s" $text) -}}
{{- end -}}
{{- mulf (float64 $number) (get $factors $unit) -}}
{{- end -}}
{{- end -}}

{{/* MiB of a size such as 512MiB or 1GiB. */}}
{{- define "penstock.mebibytes" -}}
{{- if not (kindIs "string" .) -}}
{{- divf (float64 .) 1048576.0 -}}
{{- else -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9.]+" $text -}}
{{- $unit := regexFind "[A-Za-z]+$" $text -}}
{{- $factors := dict "" 1.0 "B" 1.0 "KiB" 1024.0 "MiB" 1048576.0 "GiB" 1073741824.0 "TiB" 1099511627776.0 "kB" 1e3 "KB" 1e3 "MB" 1e6 "GB" 1e9 "TB" 1e12 -}}
{{- if or (not $number) (not (hasKey $factors $unit)) -}}
{{- fail (printf "%s is no size such as 512MiB" $text) -}}
{{- end -}}
{{- divf (mulf (float64 $number) (get $factors $unit)) 1048576.0 -}}
{{- end -}}
{{- end -}}

{{/* The configuration as it is mounted, as YAML: the values' own goes before what the chart adds. */}}
{{- define "penstock.config" -}}
{{- $config := deepCopy (default dict .Values.config) -}}
{{- $server := default dict $config.server -}}
{{- $delay := include "penstock.seconds" (ternary $server.deregister_delay "5s" (hasKey $server "deregister_delay")) | float64 -}}
{{- $drain := include "penstock.seconds" (default "20s" $server.drain_timeout) | float64 -}}
{{- /* 2 s each for the last answers, for CloudWatch and for spans; 3 s for the process to end */ -}}
{{- $needed := ceil (addf $delay $drain 9.0) | int -}}
{{- $added := dict
  "server" (dict "host" "0.0.0.0" "port" 8080 "grace" (printf "%ds" (max 30 $needed)))
  "admin" (dict "host" "0.0.0.0" "port" 9464 "token" "${PENSTOCK_ADMIN_TOKEN}") -}}
{{- if not (hasKey $server "auth") -}}
{{- $_ := set $added.server "auth" (dict "keys_file" "/etc/penstock-keys/keys.yaml" "pepper_file" "/etc/penstock-keys/pepper") -}}
{{- end -}}
{{- if not $config.routes -}}
{{- $_ := set $config "sinks" (merge (default dict $config.sinks) (dict "log" (dict "type" "stdout"))) -}}
{{- $_ := set $config "routes" (dict "example" (dict "to" (list "log"))) -}}
{{- end -}}
{{- merge $config $added | toYaml -}}
{{- end -}}

{{/* "true" if a route stores its events. */}}
{{- define "penstock.stores" -}}
{{- range $name, $route := (default dict .Values.config.routes) -}}
{{- if eq (toString $route.ack) "stored" -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* "true" if the chart's own Secret of API keys is used. */}}
{{- define "penstock.keyed" -}}
{{- if not (hasKey (default dict .Values.config.server) "auth") -}}true{{- end -}}
{{- end -}}

{{- define "penstock.grace" -}}
{{- $config := include "penstock.config" . | fromYaml -}}
{{- add (ceil (include "penstock.seconds" $config.server.grace | float64) | int) (int .Values.preStopSeconds) -}}
{{- end -}}

{{- define "penstock.resources" -}}
{{- if .Values.resources -}}
{{- toYaml .Values.resources -}}
{{- else -}}
{{- $server := (include "penstock.config" . | fromYaml).server -}}
{{- $workers := default 1 $server.workers | int -}}
{{- $budget := include "penstock.mebibytes" (default "512MiB" $server.memory) | float64 -}}
{{- $memory := printf "%dMi" (ceil (addf (mulf 100.0 (float64 (ternary 1 (add $workers 1) (eq $workers 1)))) (mulf 1.5 $budget)) | int) -}}
requests:
  cpu: {{ $workers | quote }}
  memory: {{ $memory }}
limits:
  memory: {{ $memory }}
{{- end -}}
{{- end -}}

{{/* What a container of ours may do. */}}
{{- define "penstock.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "penstock.environment" -}}
- name: PENSTOCK_ADMIN_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ default (printf "%s-admin" (include "penstock.fullname" .)) .Values.admin.tokenSecret }}
      key: {{ .Values.admin.tokenKey }}
{{- range $name, $from := .Values.secretEnv }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.secret }}
      key: {{ $from.key }}
{{- end }}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  value: {{ include "penstock.text" $value | quote }}
{{- end }}
{{- end -}}

{{- define "penstock.mounts" -}}
- name: config
  mountPath: /etc/penstock
  readOnly: true
{{- if include "penstock.keyed" . }}
- name: keys
  mountPath: /etc/penstock-keys
  readOnly: true
{{- end }}
{{- range $folder, $secret := .Values.secretMounts }}
- name: secret-{{ $folder }}
  mountPath: /etc/penstock-secrets/{{ $folder }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "penstock.volumes" -}}
- name: config
  configMap:
    name: {{ include "penstock.fullname" . }}
{{- if include "penstock.keyed" . }}
- name: keys
  secret:
    secretName: {{ default (printf "%s-keys" (include "penstock.fullname" .)) .Values.keys.secret }}
    defaultMode: 0440
{{- end }}
{{- range $folder, $secret := .Values.secretMounts }}
- name: secret-{{ $folder }}
  secret:
    secretName: {{ $secret }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{/* A probe of the admin port. */}}
{{- define "penstock.asked" -}}
{{- $admin := (include "penstock.config" .root | fromYaml).admin -}}
httpGet:
  path: {{ .path }}
  port: admin
  scheme: {{ if $admin.tls }}HTTPS{{ else }}HTTP{{ end }}
{{- end -}}

{{- define "penstock.template" -}}
metadata:
  labels:
    {{- include "penstock.pods" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "penstock.account" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "penstock.grace" . }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . | quote }}
    {{- end }}
  {{- end }}
  securityContext:
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
  containers:
    - name: penstock
      image: {{ include "penstock.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve]
      securityContext:
        {{- include "penstock.confined" . | nindent 8 }}
      env:
        {{- include "penstock.environment" . | nindent 8 }}
      ports:
        {{- $config := include "penstock.config" . | fromYaml }}
        - name: http
          containerPort: {{ $config.server.port }}
        - name: admin
          containerPort: {{ $config.admin.port }}
      startupProbe:
        {{- include "penstock.asked" (dict "root" . "path" "/livez") | nindent 8 }}
        periodSeconds: 1
        timeoutSeconds: 2
        failureThreshold: 60
      livenessProbe:
        {{- include "penstock.asked" (dict "root" . "path" "/livez") | nindent 8 }}
        periodSeconds: 10
        timeoutSeconds: 2
        failureThreshold: 3
      readinessProbe:
        {{- include "penstock.asked" (dict "root" . "path" "/readyz") | nindent 8 }}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      {{- with .Values.preStopSeconds }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ . }}
      {{- end }}
      resources:
        {{- include "penstock.resources" . | nindent 8 }}
      volumeMounts:
        {{- include "penstock.mounts" . | nindent 8 }}
        {{- if include "penstock.stores" . }}
        - name: journal
          mountPath: {{ default "/var/lib/penstock" (default dict $config.journal).path }}
        {{- end }}
  volumes:
    {{- include "penstock.volumes" . | nindent 4 }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- if .Values.topologySpreadConstraints }}
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "penstock.pods" $ | nindent 10 }}
    {{- end }}
    {{- end }}
{{- end -}}

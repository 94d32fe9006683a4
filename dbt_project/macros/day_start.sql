{#- The first instant of a Shanghai day, moved by whole days. -#}
{% macro day_start(day, days) -%}
    {{ return(adapter.dispatch('day_start')(day, days)) }}
{%- endmacro %}

{% macro default__day_start(day, days) -%}
    timezone('Asia/Shanghai', cast({{ day }} + ({{ days }}) as timestamp))
{%- endmacro %}

{% macro spark__day_start(day, days) -%}
    to_utc_timestamp(cast(date_add({{ day }}, {{ days }}) as timestamp), 'Asia/Shanghai')
{%- endmacro %}

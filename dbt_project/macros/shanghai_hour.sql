{#- The hour of day, 0 to 23, of an instant in Asia/Shanghai. -#}
{% macro shanghai_hour(instant) -%}
    {{ return(adapter.dispatch('shanghai_hour')(instant)) }}
{%- endmacro %}

{% macro default__shanghai_hour(instant) -%}
    extract(hour from timezone('Asia/Shanghai', {{ instant }}))
{%- endmacro %}

{% macro spark__shanghai_hour(instant) -%}
    hour(from_utc_timestamp({{ instant }}, 'Asia/Shanghai'))
{%- endmacro %}

{#- The Asia/Shanghai calendar day of an instant. -#}
{% macro business_day(instant) -%}
    {{ return(adapter.dispatch('business_day')(instant)) }}
{%- endmacro %}

{% macro default__business_day(instant) -%}
    cast(timezone('Asia/Shanghai', {{ instant }}) as date)
{%- endmacro %}

{% macro spark__business_day(instant) -%}
    cast(from_utc_timestamp({{ instant }}, 'Asia/Shanghai') as date)
{%- endmacro %}

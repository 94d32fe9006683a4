{#- The instant at which an Asia/Shanghai calendar day begins. -#}
{% macro start_of_business_day(day) -%}
    {{ return(adapter.dispatch('start_of_business_day')(day)) }}
{%- endmacro %}

{% macro default__start_of_business_day(day) -%}
    timezone('Asia/Shanghai', cast({{ day }} as timestamp))
{%- endmacro %}

{% macro spark__start_of_business_day(day) -%}
    to_utc_timestamp(cast({{ day }} as timestamp), 'Asia/Shanghai')
{%- endmacro %}

{#- Whole seconds from one instant to another, rounded down; negative where the second is earlier. -#}
{% macro seconds_between(earlier, later) -%}
    {{ return(adapter.dispatch('seconds_between')(earlier, later)) }}
{%- endmacro %}

{% macro default__seconds_between(earlier, later) -%}
    cast(floor((epoch_us({{ later }}) - epoch_us({{ earlier }})) / 1000000.0) as bigint)
{%- endmacro %}

{% macro spark__seconds_between(earlier, later) -%}
    cast(floor((unix_micros({{ later }}) - unix_micros({{ earlier }})) / 1000000.0) as bigint)
{%- endmacro %}

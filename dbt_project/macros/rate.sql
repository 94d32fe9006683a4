{#- A rate in 0..1; null where there is nothing to divide by. -#}
{% macro rate(numerator, denominator) -%}
    cast({{ numerator }} as double) / nullif({{ denominator }}, 0)
{%- endmacro %}

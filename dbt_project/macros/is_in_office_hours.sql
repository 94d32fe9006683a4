{#- Whether an instant falls in the hours in which offices in Shanghai work; see `by_hand`. -#}
{% macro is_in_office_hours(instant) -%}
    {{ shanghai_hour(instant) }} >= {{ by_hand('office_opens') }}
        and {{ shanghai_hour(instant) }} < {{ by_hand('office_closes') }}
{%- endmacro %}

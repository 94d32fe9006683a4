{#-
    A p-value as it counts among all rows of the relation (Benjamini and Hochberg 1995): rows at
    most q are found at a false discovery rate of q. Null where nothing was tested.
-#}
{% macro adjusted_for_many(chance) -%}
    {{ return(adapter.dispatch('adjusted_for_many')(chance)) }}
{%- endmacro %}

{#- The function comes from pipeline/decisions/functions.py, by the plugin in profiles.yml. -#}
{% macro default__adjusted_for_many(chance) -%}
    adjusted_for_many({{ chance }}, list({{ chance }}) over ())
{%- endmacro %}

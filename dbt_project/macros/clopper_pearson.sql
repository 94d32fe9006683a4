{#-
    A limit of the exact two-sided 95 % interval for a proportion (Clopper and Pearson 1934).
    `side` is 'low' or 'high'. Null where there are no trials. Counts of nulls are null.
-#}
{% macro clopper_pearson(successes, trials, side) -%}
    {{ return(adapter.dispatch('clopper_pearson')(successes, trials, side)) }}
{%- endmacro %}

{#- The functions come from pipeline/decisions/functions.py, by the plugin in profiles.yml. -#}
{% macro default__clopper_pearson(successes, trials, side) -%}
    clopper_pearson_{{ side }}(
        cast({{ successes }} as bigint), cast({{ trials }} as bigint)
    )
{%- endmacro %}

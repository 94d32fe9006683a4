{#-
    How many cases it takes for the lower Clopper-Pearson limit to reach a gate, if the rate stays
    as observed; null where the observed rate does not exceed the gate.
-#}
{% macro cases_needed(successes, trials, gate) -%}
    {{ return(adapter.dispatch('cases_needed')(successes, trials, gate)) }}
{%- endmacro %}

{#- The function comes from pipeline/decisions/functions.py, by the plugin in profiles.yml. -#}
{% macro default__cases_needed(successes, trials, gate) -%}
    cases_needed(
        cast({{ successes }} as bigint), cast({{ trials }} as bigint), cast({{ gate }} as double)
    )
{%- endmacro %}

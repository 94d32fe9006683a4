{#-
    The chance of so great a rise from the earlier to the later rate if there were none (one-sided,
    pooled two-proportion test). Null where either side has no trials.
-#}
{% macro chance_of_rise(earlier_successes, earlier_trials, later_successes, later_trials) -%}
    {{ return(adapter.dispatch('chance_of_rise')(
        earlier_successes, earlier_trials, later_successes, later_trials
    )) }}
{%- endmacro %}

{#- The function comes from pipeline/decisions/functions.py, by the plugin in profiles.yml. -#}
{% macro default__chance_of_rise(
    earlier_successes, earlier_trials, later_successes, later_trials
) -%}
    chance_of_rise(
        cast({{ earlier_successes }} as bigint), cast({{ earlier_trials }} as bigint),
        cast({{ later_successes }} as bigint), cast({{ later_trials }} as bigint)
    )
{%- endmacro %}

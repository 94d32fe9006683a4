{#- An instant moved by whole seconds. -#}
{% macro add_seconds(instant, seconds) -%}
    {{ return(adapter.dispatch('add_seconds')(instant, seconds)) }}
{%- endmacro %}

{% macro default__add_seconds(instant, seconds) -%}
    ({{ instant }} + to_seconds({{ seconds }}))
{%- endmacro %}

{% macro spark__add_seconds(instant, seconds) -%}
    ({{ instant }} + make_dt_interval(0, 0, 0, {{ seconds }}))
{%- endmacro %}

{#-
    A limit of the two-sided 95 % Wilson score interval for a proportion
    (Wilson 1927, J. Am. Stat. Assoc. 22, eq. 5; z = 1.959963984540054).
    `side` is 'low' or 'high'. Null where there are no trials.
-#}
{% macro wilson(successes, trials, side) -%}
    {%- set z = 1.959963984540054 -%}
    {%- set n = 'nullif(cast(' ~ trials ~ ' as double), 0)' -%}
    {%- set p = '(cast(' ~ successes ~ ' as double) / ' ~ n ~ ')' -%}
    {%- set sign = '-' if side == 'low' else '+' -%}
    case when {{ trials }} > 0 then least(1.0, greatest(0.0, (
        {{ p }} + {{ z * z }} / (2 * {{ n }})
        {{ sign }} {{ z }} * sqrt({{ p }} * (1 - {{ p }}) / {{ n }} + {{ z * z }} / (4 * {{ n }} * {{ n }}))
    ) / (1 + {{ z * z }} / {{ n }}))) end
{%- endmacro %}

{#-
    In an aggregate: which share of the matches rests on which kind of identifier, a column each.
    `match_tier` is null where nothing matched; such rows count nowhere. What the five leave to 1
    rests on the CRM's own key.
-#}
{% macro match_tier_shares(match_tier) -%}
    {%- for tier in match_tiers() if tier != 'contact' -%}
    {{ rate(
        'sum(case when ' ~ match_tier ~ " = '" ~ tier ~ "' then 1 else 0 end)",
        'count(' ~ match_tier ~ ')'
    ) }} as {{ tier }}_share
    {%- if not loop.last %},
    {% endif -%}
    {%- endfor -%}
{%- endmacro %}

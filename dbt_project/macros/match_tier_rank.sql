{#- Place of a kind of identifier among the match tiers, the strongest first; last if it is none. -#}
{% macro match_tier_rank(kind) -%}
    case {{ kind }}
        {%- for tier in match_tiers() %}
        when '{{ tier }}' then {{ loop.index }}
        {%- endfor %}
        else {{ match_tiers() | length + 1 }}
    end
{%- endmacro %}

{#-
    The kinds of identifier that a match can rest on, the strongest first. `contact` is the CRM's
    own key, where a record names the contact itself.
-#}
{% macro match_tiers() -%}
    {{ return(['contact', 'unionid', 'openid', 'member_no', 'phone', 'customer_code']) }}
{%- endmacro %}

{#- Returns rows whose value lies outside [least, greatest]. Null is allowed: pair with not_null. -#}
{% test in_range(model, column_name, least=none, greatest=none) %}

select *
from {{ model }}
where
    {{ column_name }} is not null
    and (
        false
        {% if least is not none %}or {{ column_name }} < {{ least }}{% endif %}
        {% if greatest is not none %}or {{ column_name }} > {{ greatest }}{% endif %}
        or isnan(cast({{ column_name }} as double))
    )

{% endtest %}

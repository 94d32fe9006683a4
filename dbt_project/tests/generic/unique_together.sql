{#- Returns every combination of the columns that stands more than once. Nulls count as equal. -#}
{% test unique_together(model, columns) %}

select
    {{ columns | join(', ') }},
    count(*) as rows_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1

{% endtest %}

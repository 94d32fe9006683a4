{#-
    The rows of a landed table that can be judged, one per key.

    Rows at or after the table's watermark are landed but not judged, so they are left out. Where a
    key stands in several batches (a replay over midnight, a row that moved to another day), the
    newest version counts: the latest `newest` column, then the latest business day.

    Adds `source_ref`, which names the landed row as table/batch/key.
-#}
{% macro landed(table, key, instant=none, newest=none) -%}
{#- What was touched is told from the rows as they were staged before: it must be told first. -#}
-- depends_on: {{ ref('stg_landing__touched') }}
source_rows as (
    select * from {{ source('landing', table) }}
),

watermark as (
    select complete_until
    from {{ source('landing', 'watermarks') }}
    where table_name = '{{ table }}'
),

judged_rows as (
    select source_rows.*
    from source_rows
    {% if instant -%}
    cross join watermark
    where {{ instant }} is null or {{ instant }} < watermark.complete_until
    {%- endif %}
),

versions as (
    select
        *,
        row_number() over (
            partition by {{ key | join(', ') }}
            order by {% if newest %}{{ newest }} desc, {% endif %}business_day desc, batch_id
        ) as version_rank
    from judged_rows
),

landed as (
    select
        *,
        '{{ table }}/' || batch_id || '/' || {% for part in key -%}
            coalesce(cast({{ part }} as varchar), ''){% if not loop.last %} || '/' || {% endif %}
        {%- endfor %} as source_ref
    from versions
    where version_rank = 1
)
{%- endmacro %}

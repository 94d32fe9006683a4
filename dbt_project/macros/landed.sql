{#-
    The rows of a landed table that can be judged, one per key.

    Rows at or after the table's watermark are landed but not judged, so they are left out. Where a
    key stands in several batches (a replay over midnight, a row that moved to another day), the
    newest version counts: the latest `newest` column, then the latest business day.

    A run that judges again takes only the rows of touched keys, and keeps the others as they were
    staged: a key's row is told by the landed rows of that key alone.

    Adds `source_ref`, which names the landed row as table/batch/key.
-#}
{% macro landed(table, instant=none, newest=none, key=none) -%}
{%- set key = key or landed_tables()[table]['key'] -%}
{#- What was touched is told from the rows as they were staged before: it must be told first. -#}
-- depends_on: {{ ref('stg_landing__touched') }}
source_rows as (
    select * from {{ source('landing', table) }}
    {%- if is_incremental() %}
    where {{ is_touched(table) }}
    {%- endif %}
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

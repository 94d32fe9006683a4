with actors as (
    select * from {{ ref('stg_company__interface_actors') }}
),

records as (
    select
        'erp_orders' as table_name,
        source_ref,
        created_by,
        created_via
    from {{ ref('stg_erp__orders') }}
    union all
    select
        'erp_receipts',
        source_ref,
        created_by,
        created_via
    from {{ ref('stg_erp__receipts') }}
    union all
    select
        'erp_shipments',
        source_ref,
        created_by,
        created_via
    from {{ ref('stg_erp__shipments') }}
    union all
    select
        'crm_appointments',
        source_ref,
        created_by,
        created_via
    from {{ ref('stg_crm__appointments') }}
    union all
    select
        'crm_cases',
        source_ref,
        created_by,
        created_via
    from {{ ref('stg_crm__cases') }}
),

listed as (
    select
        table_name,
        count(*) as actors_count
    from actors
    group by table_name
),

judged as (
    select
        records.table_name,
        records.source_ref,
        case
            when records.created_via in ('ui', 'import') then 'human'
            when
                records.created_by is not null
                and listed.actors_count is not null
                and actors.actor is null
                then 'human'
            when records.created_via = 'interface' or actors.actor is not null then 'interface'
            else 'unknown'
        end as made_by
    from records
    left join listed on records.table_name = listed.table_name
    left join actors
        on records.table_name = actors.table_name and records.created_by = actors.actor
)

select * from judged

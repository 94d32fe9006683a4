with cases as (
    select
        case_id,
        loop,
        business_line,
        entered_at
    from {{ ref('int_cases') }}
),

contracts as (
    select * from {{ ref('stg_company__loop_legs') }}
    where leg = 'known'
),

brought as (
    select * from {{ ref('int_case_identifiers') }}
),

reached as (
    select * from {{ ref('int_contacts__reached') }}
),

-- A line without a contract of its own for the loop takes the default one. A loop without the
-- leg has no window.
windows as (
    select
        cases.case_id,
        {{ add_seconds(
            'cases.entered_at',
            'coalesce(own_contracts.window_seconds, default_contracts.window_seconds)'
        ) }} as window_ends_at
    from cases
    left join contracts as own_contracts
        on
            cases.loop = own_contracts.loop
            and cases.business_line = own_contracts.business_line
    left join contracts as default_contracts
        on cases.loop = default_contracts.loop and default_contracts.business_line is null
),

paths as (
    select
        brought.case_id,
        reached.contact_id,
        reached.reached_at,
        brought.tier as match_tier,
        brought.tier_rank,
        row_number() over (
            partition by brought.case_id, reached.contact_id
            order by reached.reached_at, brought.tier_rank, brought.identifier
        ) as path_rank
    from brought
    inner join reached on brought.identifier = reached.identifier
),

earliest as (
    select
        paths.case_id,
        paths.contact_id,
        paths.reached_at,
        paths.match_tier,
        paths.tier_rank,
        coalesce(paths.reached_at < windows.window_ends_at, false) as is_in_window
    from paths
    inner join windows on paths.case_id = windows.case_id
    where paths.path_rank = 1
)

select * from earliest

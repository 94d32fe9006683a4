with contracts as (
    select * from {{ source('landing', 'loop_legs') }}
),

renamed as (
    select
        business_line,
        loop,
        leg,
        leg_rank,
        is_mandatory,
        window_seconds,
        late_after_seconds,
        tolerance_fen,
        owner,
        target_closure
    from contracts
)

select * from renamed

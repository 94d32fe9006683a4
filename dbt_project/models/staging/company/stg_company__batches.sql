with batches as (
    select * from {{ source('landing', 'batches') }}
),

renamed as (
    select
        table_name,
        business_day,
        batch_id,
        revises,
        row_count as rows_count,
        complete_until,
        extracted_at
    from batches
)

select * from renamed

{{ config(materialized='table') }}

-- Told from the events after what changed about it was told.
-- depends_on: {{ ref('int_dirty_numbers') }}
with events as (
    select * from {{ ref('stg_tracking__events') }}
),

apps as (
    select distinct app_id from events
    where app_id is not null
)

select * from apps

-- The two marts that tell interruption tell the same of every day, line and channel. Returns the
-- cells of which they do not.
with conversions as (
    select * from {{ ref('rpt_conversion_daily') }}
),

closures as (
    select * from {{ ref('rpt_closure_daily') }}
    where checkouts_count > 0
)

select
    conversions.business_day,
    conversions.business_line,
    conversions.channel,
    conversions.interruption_rate as told_by_conversion,
    closures.interruption_rate as told_by_closure
from conversions
full join closures
    on
        conversions.business_day = closures.business_day
        and conversions.business_line = closures.business_line
        and conversions.channel = closures.channel
where conversions.interruption_rate is distinct from closures.interruption_rate

-- The bridge from the surface total to the ERP total explains every fen and every order of every
-- day, line and channel. Returns the cells that it does not explain.
select *
from {{ ref('rpt_bridge_daily') }}
where
    residual_fen is distinct from 0
    or residual_count is distinct from 0
    or step_rank is null

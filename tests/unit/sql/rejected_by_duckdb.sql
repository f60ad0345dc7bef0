-- One query a line that DuckDB rejects because of a name; the place behind -- is where the analysis must say so.
select idd from raw.orders -- 1:8
select o.idd from raw.orders o -- 1:10
select raw_orders.id from raw.orders o -- 1:8
select id from raw.orders where statu = 'x' -- 1:33
select id from raw.orders order by nope -- 1:36
select id, sum(amount) from raw.orders group by custmer_id -- 1:49
select id from raw.orders o join raw.customers c on o.custmer = c.id -- 1:55
select * exclude (nope) from stg.a -- 1:19
select * replace (nope as x) from stg.a -- 1:19
select * from stg.a join stg.b using (z) -- 1:39
select (select nope from stg.b limit 1) as k from stg.a -- 1:16
with c as (select x from stg.a) select y from c -- 1:40
select y from (select x from stg.a) -- 1:8
select t.y from (select x from stg.a) t -- 1:10
select x from stg.a where exists (select 1 from stg.b where b.q = a.x) -- 1:63
select sum(x) over (partition by nope) as s from stg.a -- 1:34
select list_transform(l, lambda e: e + nope) as t from stg.wide -- 1:40
select case when nope then 1 end as c from stg.a -- 1:18
select x from stg.a union all select nope from stg.b -- 1:38
select b.x from stg.a semi join stg.b using (x) -- 1:8

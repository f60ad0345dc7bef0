-- One query a line that PostgreSQL accepts, over the tables of test_postgres_columns.py. What is inferred is held against it.
-- The analysis may say less than PostgreSQL (no columns with a note, no type) but never something else.
select * from raw.orders
select * from raw.wide
select id, amount * 2 as doubled, amount + 1 as more, amount / 3 as third, -amount as negative, abs(amount) as positive from raw.orders
select i + s as a, i + b as b, i / 2 as c, i % 2 as d, s + 1 as e, b * 2 as f, r + r as g, r + d as h, d * i as k, i - n as l, 1.5 * i as m, 3000000000 + i as o from raw.wide
select round(i) as a, round(n) as b, round(n, 1) as c, round(d) as d, ceil(i) as e, floor(n) as f, round(r) as g, round(i, 1) as h, abs(s) as k from raw.wide
select sum(s) as a, sum(i) as b, sum(b) as c, sum(n) as d, sum(r) as e, sum(d) as f, avg(i) as g, avg(n) as h, avg(r) as k, avg(d) as l, sum(span) as m, avg(span) as o from raw.wide
select min(i) as a, max(n) as b, min(v) as c, max(t) as d, max(day) as e, min(at) as f, max(stamp) as g, min(ids) as h, max(c) as k, min(n92) as l from raw.wide
select count(*), sum(amount), min(status), max(id), avg(amount) from raw.orders
select count(*) filter (where status = 'paid') as paid, bool_and(paid) as every, bool_or(paid) as some from raw.orders
select row_number() over (), rank() over (order by id), dense_rank() over (order by id), ntile(4) over (order by id) as quarter, percent_rank() over (order by id) as p, cume_dist() over (order by id) as c from raw.orders
select lag(amount) over (order by id) as before, lead(status) over (order by id) as after, first_value(amount) over (order by id) as first, last_value(id) over (order by id) as last, nth_value(code, 2) over (order by id) as second, sum(id) over (partition by status) as total from raw.orders
select lag(amount, 1, 0.0) over (order by id) as before from raw.orders
select coalesce(amount, 0) as a, coalesce(code, 'x') as b, coalesce(status, 'x') as c, coalesce(id, 5000000000) as d, coalesce(created_at, '2020-01-01') as e, coalesce(null, id) as f, coalesce(amount, amount) as g, coalesce(code, status) as h from raw.orders
select case when id = 1 then 'a' when id = 2 then null else 'b' end as a, case when paid then 1 else 2.5 end as b, case when paid then id end as c, case when paid then code else 'none' end as d, case when paid then amount else 1 end as e from raw.orders
select greatest(i, s) as a, least(n, i) as b, greatest(day, '2020-01-01') as c, greatest(n, n92) as d from raw.wide
select nullif(amount, 0) as a, nullif(status, '') as b, nullif(id, id) as c, nullif(code, '') as d from raw.orders
select upper(status) as a, lower(code) as b, concat(id, status) as c, concat_ws('-', id, code) as d, replace(status, 'a', 'b') as e, substring(status from 2) as f, left(code, 2) as g, trim(status) as h, split_part(status, '-', 1) as k, lpad(code, 5) as l, initcap(status) as m, length(status) as o, strpos(status, 'a') as p, md5(status) as q, to_char(created_at, 'YYYY') as r, regexp_replace(status, 'a', 'b') as s, string_agg(status, ',') over () as t, reverse(status) as u from raw.orders
select length(raw) as a, substring(raw from 1) as b, lower(span_of) as d, upper(span_of) as e from raw.odd
select status || '-' || code as a, status || id as b, 'x' || status as c from raw.orders
select ids || 5 as a, ids || ids as b, data || '{}' as c from raw.wide
select day + 1 as a, day - 1 as b, day - day as c, at - at as d, at + interval '1 day' as e, day + interval '1 day' as f, stamp - interval '1 hour' as g, stamp - stamp as h, span + span as k, at + span as l, span * 2 as m, day + span as o from raw.wide
select date_trunc('month', day) as a, date_trunc('month', at) as b, date_trunc('day', stamp) as c, date_trunc('day', at3) as d, extract(year from day) as e, date_part('year', day) as f, current_date as g, current_timestamp as h, now() as k, at::date as l, age(at) as m from raw.wide
select i = 1 as a, v like 'a%' as b, i in (1, 2) as c, i between 1 and 2 as d, v is null as e, not (i = 1) as f, i = 1 and v = 'a' as g, exists (select 1) as h, v ~ 'a' as k, i is distinct from 2 as l, v similar to 'a' as m, true as o, i > any(ids) as p, data @> '{}' as q, data ? 'a' as r from raw.wide
select 1 as a, 3000000000 as b, 99999999999999999999 as c, 1.5 as d, .5 as e, 'x' as f, true as g, null as h, 1e3 as k, -1 as l, date '2020-01-01' as m, interval '1 day' as o, timestamp '2020-01-01' as p, E'a' as q
select id::text, cast(amount as numeric(5, 1)), status::varchar(3), code::char(2), id::float as f, id::real as fr, id::float4 as f4, created_at::timestamptz as tz, id::int8 as i8, id::smallint as i2, amount::double precision as dp, status::json as js, '{1}'::int[] as arr, '{}'::text[][] as arr2, id::oid as o from raw.orders
select status::name as a, status::char as b, status::bpchar as c, created_at::timestamp(3) as d, created_at::timestamptz(2) as e, created_at::time as f, created_at::timestamptz::timetz as g, created_at::time(1) as h, id::decimal as k, id::numeric(7) as l, status::bytea as m, id::float(20) as o, id::float(30) as p, id::bit(3) as q, '1.1.1.1'::inet as r, id::regclass as s from raw.orders
select status::mood as a, status::citext as b from raw.moods
select array_agg(id) as a, array_agg(amount) as b, array_agg(status) as c, array_agg(code) as d, array_agg(id order by id desc) as e from raw.orders
select array_agg(ids) as a, ids[1] as b, array_length(ids, 1) as c, unnest(ids) as d from raw.wide group by ids
select data -> 'a' as a, data ->> 'b' as b, data #> '{a}' as c, data #>> '{a}' as d from raw.wide
select a.id as other, b.* from raw.orders a join raw.orders b using (id)
select * from raw.orders join raw.customers using (id, status)
select * from raw.orders join raw.customers using (status, id)
select * from raw.orders o join (select code, name from raw.orders join raw.customers using (id)) x using (code) left join (select name, 1 as extra from raw.customers) y using (name)
select * from (raw.wide join (select i, n92 as n from raw.wide) z using (n, i))
select id, status from raw.orders full join raw.customers using (id, status)
select * from raw.orders right join raw.customers using (status, id)
select o.*, c.name from raw.orders o join raw.customers c using (id)
select * from raw.orders o join raw.customers c using (id, status), (select 1 as one) as x
select o.*, c.name from raw.orders o full join raw.customers c on o.id = c.id where false
select * from raw.orders natural join raw.customers
select id, name from raw.customers union all select 1, 'x'
select i from raw.wide union select b from raw.wide
select n from raw.wide union all select n92 from raw.wide
select v from raw.wide union all select t from raw.wide
select v from raw.wide union all select v20 from raw.wide
select i from raw.wide union all select n from raw.wide union all select d from raw.wide
select i from raw.wide intersect select s from raw.wide
select 'a' as x union all select null
select null as x union all select 5
select * from (values (1, 'a', 2.5), (2, 'b', 3)) as t (n, s, d)
values (1, 'a'), (2, null)
with recursive t (n) as (select 1 union all select n + 1 from t where n < 5) select n, n * 2 as doubled from t
with totals as (select customer_id, sum(amount) as total from raw.orders group by 1) select c.*, t.total from raw.customers c left join totals t on t.customer_id = c.id
select distinct on (customer_id) customer_id, id from raw.orders order by customer_id, created_at desc
select (select max(amount) from raw.orders) as biggest, (select name from raw.customers limit 1) as anybody
select o.id, x.total from raw.orders o cross join lateral (select sum(amount) as total from raw.orders p where p.customer_id = o.customer_id) x
select d as day, d::date as date from generate_series('2026-01-01'::timestamp, '2026-02-01', '1 day') as d
select n, n + 1 as more from generate_series(1, 5) as t (n)
select percentile_cont(0.5) within group (order by amount) as median, mode() within group (order by status) as mode from raw.orders
select "Odd Name", "Odd Name" + 1 as more, "Upper" from raw.odd
select ID, Status as S, "status" from raw.orders
select t.* from raw.orders t
select count(distinct status) as n, sum(distinct id) as s from raw.orders group by rollup (status)
select id, status, amount from raw.orders for update skip locked
select paid and paid as a, paid is true as b, not paid as c, coalesce(paid, false) as d from raw.orders
select round(amount * 100)::int as cents, (amount > 5)::int as is_big, trunc(amount) as t, mod(id, 2) as m, id / 2.0 as h, power(id, 2) as p, sqrt(id) as q, sign(id) as r, ln(amount) as l, random() as u from raw.orders
select gen_random_uuid() as u, json_build_object('a', 1) as j, to_jsonb(o) as b, row_to_json(o) as r from raw.orders o
select min(amount) filter (where paid) over (order by id) as m from raw.orders
select max(case when paid then amount end) as p, sum(case when paid then 1 else 0 end) as n, sum(coalesce(amount, 0)) as s from raw.orders

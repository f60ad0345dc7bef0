-- One query a line that DuckDB accepts, over the tables of conftest.py. What is inferred is held against DESCRIBE.
-- The analysis may say less than DuckDB (no columns with a note, no type) but never something else.
select id, amount*2 as dbl from raw.orders where status='paid'
select o.*, c.name from raw.orders o join raw.customers c on o.customer_id=c.id
with p as (select order_id, sum(paid) paid from stg.payments group by 1), o as (select * from raw.orders) select o.id, p.paid, o.amount-p.paid as open from o left join p on p.order_id=o.id
with orders as (select * from raw.orders) select count(*) as n from orders
from raw.orders
from raw.orders select id, amount where amount>1
select * exclude (items, status) from raw.orders
select * replace (amount/100 as amount) from raw.orders
select status, sum(amount) as s from raw.orders group by all order by all
select *, row_number() over (partition by customer_id order by created_at) rn from raw.orders qualify rn=1
select x, y from stg.a union all by name select x, z from stg.b
select o.id, p.paid from raw.orders o asof join stg.payments p on o.id=p.order_id and o.created_at>=p.at
pivot raw.orders on status in ('paid', 'open') using sum(amount) group by customer_id
select * from (pivot raw.orders on status in ('paid','open') using sum(amount) group by customer_id)
unpivot stg.a on x, y into name k value v
select * from stg.a unpivot (v for k in (x, y))
select id, [i*2 for i in items if i>1] as d from raw.orders
select id, list_transform(items, lambda i: i+1) as d from raw.orders
select id, unnest(items) as item from raw.orders
select o.id, t.m from raw.orders o, lateral (select max(paid) m from stg.payments p where p.order_id=o.id) t
select {'a': id, 'b': name}.a as aa from raw.customers
select columns('.*id') from raw.orders
select id from raw.orders semi join raw.customers c on c.id=customer_id
select id from raw.orders o where not exists (select 1 from stg.payments where order_id=o.id)
with recursive t(n) as (select 1 union all select n+1 from t where n<5) select n from t
select id from raw.orders using sample 10 percent (bernoulli)
select count(*) filter (where status='paid') as paid from raw.orders
select a.x, b.z from stg.a positional join stg.b
select amount*2 as a2, a2+1 as a3 from raw.orders
select total: amount, id from raw.orders
select * from (values (1,'a')) t(i,s)
select status, customer_id, sum(amount) s from raw.orders group by grouping sets ((status),(customer_id),())
select try_cast(name as int) as n, name::varchar(5) as s from raw.customers
select meta->>'$.a' as a, meta->'b' as b from stg.payments
select id, amount, from raw.orders
select "id" as "My Id" from "raw"."orders"
select id from raw.orders intersect select id from raw.customers except select order_id from stg.payments
select arg_max(name, id) as latest, string_agg(name, ',' order by id) as names from raw.customers
select id, sum(amount) over w as s from raw.orders window w as (partition by customer_id order by created_at rows between 3 preceding and current row)
select created_at + interval 3 days as t, date_trunc('month', created_at) m from raw.orders
select id, (select name from raw.customers c where c.id=o.customer_id) as cname from raw.orders o
-- duplicates, USING, NATURAL
select a.x, b.x from stg.a a, stg.b b
select x as x, y as X, y as x_1 from stg.a
select * from stg.a join stg.b using (x)
select * from stg.a right join stg.b using (x)
select * from stg.b full join stg.a using (x)
select * from stg.wide right join stg.a using (x)
select * from stg.a right join stg.wide using (x)
select * from stg.a full join stg.wide using (x)
select x from stg.b right join stg.wide using (x)
select X from stg.a left join stg.wide using (x)
select * from stg.a natural join stg.b
select * from stg.a natural left join stg.wide
select b.*, a.* from stg.a a join stg.b b using (x)
select b.x, a.x, x from stg.a a join stg.b b using (x)
select * from stg.a semi join stg.b using (x)
select * from stg.a anti join stg.b on stg.a.x = stg.b.x
select * from stg.a a1 join stg.a a2 using (x, y) join stg.b using (x)
select * from stg.b left join stg.a using (x) left join stg.a a2 using (x)
select * from stg.a, stg.b join stg.wide using (z)
select *, x+1 as x from stg.a
select * exclude (x), x from stg.a
select * exclude x from stg.a
select * rename (x as q) from stg.a
select * replace (1 as X) from stg.a
select * exclude (a.x) from stg.a a join stg.b b on true
select * exclude (b.x) from stg.a a join stg.b b on true
select * exclude (x) from stg.a join stg.b using (x)
select a.* exclude (x), b.* replace (z+1 as z) from stg.a a join stg.b b using (x)
select * from (stg.a join stg.b using (x))
select * from (stg.a join stg.b using (x)) t
select t.x from (stg.a join stg.b using (x)) t
select a.* from (stg.a join stg.b using (x))
select * from (stg.a), ((stg.b)) q
select * from ((select 1 as one))
select * from (select 1 as x, 2 as x, 3 as x_1)
with c as (select 1 as x, 2 as x) select x, x_1 from c
select * replace (1 as x) from stg.a t1 join stg.a t2 on true
select * from stg.a t1 join stg.a t2 using (x) join stg.wide t3 on true
select * from stg.a t1 full join stg.a t2 using (x) join stg.wide t3 using (x)
select * rename (x as z) from stg.a t1 join stg.a t2 using (x) where z is not null
select * from stg.b t1 join (select * from stg.a t1 where t1.z is not null) t2 using (x)
-- names
select count(*), a.y from stg.a a group by all
select count(*) from stg.a
select (x), ((y)) from stg.a
select x y, y x from stg.a order by x
select Z from stg.wide
select z from stg.wide
select "Z" as "Zz", z from stg.wide
select Z from (select z from stg.wide) t
select a.X as X, A."x", a.y from stg.a a
select stg.a.x from stg.a
select t.t from (select 1 as t) t
select a.x from (select 5 as q) a, (select {'x': 'k'} as a) b
select s.p, s.q as qq from stg.wide
select a from stg.a a
select t from stg.a t where t.x > 0
select 'x' as 'lit', 1 as if from stg.a
select t.* from (select 1 as a, 2 as b) t(c)
with c(q) as (select 1, 2 as r) select * from c
select * from stg.a as t(p)
with recursive t(n) as (select 1 union all select n+1 from t where n<3) select * from t
with recursive t as (select id, customer_id from raw.orders union all select o.id, t.customer_id from raw.orders o join t on o.customer_id = t.id) select * from t
select x: 1, y: 2
select x as k from stg.a where k > 1 group by k having k > 1 order by k
select x from stg.a union select z from stg.b order by x
select x from stg.a union select z from stg.b order by z
select x, (select x + b.z from stg.b b limit 1) as k from stg.a
select x from stg.a where exists (select 1 from stg.b where stg.b.x = stg.a.x)
select x from stg.a where x in (select x from stg.b where y = 1)
select x from stg.a where (x, y) in (select x, z from stg.b)
select x from stg.a where y = any(select z from stg.b) and exists (from stg.b where b.z = a.x)
-- structs, lists, functions in FROM
select unnest(s) as u from stg.wide
select unnest(l) as u, unnest(l) as w from stg.wide
select unnest(string_split('a,b', ',')) as u, unnest(range(3)) v, unnest([1,2]) w
select s.* from stg.wide
select * from range(3)
select * from range(3) t
select * from range(3) t(i)
select i from range(1, 10, 2) t(i)
select range from range(3)
select generate_series from generate_series(1,3)
select * from unnest([1,2]) u
select * from unnest([1,2]) u(i)
select * from unnest([1,2])
select * from unnest([{'a': 1, 'b': 2}]) u
select w.x, u.v from stg.wide w, unnest(w.l) as u(v)
select w.x, u from stg.wide w cross join lateral unnest(l) u
select * from stg.a, lateral (select a.x+1 as k) t
select * from stg.a left join lateral (select a.x+1 as k) t on true
select columns(*) from stg.a
select min(columns(*)) from stg.a
select columns(* exclude (x)) from stg.a
select columns(lambda c: c like 'x%') from stg.a
select * like 'x%' from stg.a
select coalesce(columns(['x','y'])) from stg.a
select l.list_sort().list_reverse() as r, list_aggregate(l, 'sum') as s, l[1] as f, l[1:2] as sl from stg.wide
select list_filter(l, lambda e: e > x) as big, list_transform(l, lambda e, i: e + i) as t from stg.wide
select struct_extract(s,'p') as p, struct_pack(a := x, b := z) as q, row(x, z) as r from stg.wide
select map {'a': x} as m, map {'a': x}['a'] as v from stg.a
values (1, 2)
from (values (1,2)) t(a)
select * from (values (1, 'a'), (2, 'b')) limit 1
-- expressions and their types
select x/2 as a, x//2 as b, x*2 as c, x%2 as d, x+w as e, w*2 as f, -x as g, x-z as h, x*1.5 as i from stg.wide
select sum(x) as a, sum(w) as b, avg(x) as c, avg(w) as d, count(x) as e, min(x) as f, max(w) as g, sum(d) as h, avg(d) as i from stg.wide
select 1 as a, 3000000000 as b, 1.5 as c, 1e3 as d, -5 as e, 12.345 as f, .5 as g, 9223372036854775808 as h, 'x' as i, true as j, null as k
select coalesce(x, 0) as a, case when true then x else 0 end as b, greatest(x, z) as c, coalesce(w, 0) as d, nullif(x, 1) as e, if(x > 1, x, 0) as f, coalesce(x, 3000000000) as g from stg.wide
select case when x > 1 then 1 else 2.5 end as a, case when x > 1 then 'a' end as b, case x when 1 then z else null end as c from stg.wide
select x::smallint + x as a, x::tinyint*2 as b, x::smallint + 100000 as c, x::bigint + 1 as d, x::double + 1 as e from stg.a
select x in (1,2) as a, not true as b, x is null as c, x between 1 and 2 as d, y = 1 and x = 2 as e, exists(from stg.b) as f, x is distinct from y as g from stg.a
select name like 'a%' as a, name || 'b' as b, name ilike 'z' as c, upper(name) as d, concat(name, 1) as e, starts_with(name, 'a') as f, length(name) as g from raw.customers
select row_number() over () as a, rank() over (order by x) as b, ntile(2) over (order by x) as c, lag(x) over (order by y) as d, first_value(y) over (order by x) as e, percent_rank() over (order by x) as f, sum(x) over () as g from stg.a
select string_agg(name, ',') as a, list(id) as b, array_agg(name) as c, any_value(name) as d, arg_max(name, id) as e, mode(id) as f, median(id) as g, approx_count_distinct(id) as h, bool_and(id > 1) as i, stddev(id) as j, count_if(id > 1) as k from raw.customers
select x::varchar as a, cast(x as decimal(10,2)) as b, try_cast(x as date) as c, x::int[] as d, x::text::json as e, x::decimal as f, x::timestamptz as g, x::varchar(10) as h, x::float as i, x::hugeint as j, x::struct(a int) as k from (select null::varchar as x)
select round(w, 1) as a, round(d, 1) as b, round(x) as c, abs(x) as d, floor(w) as e, ceil(x) as f, floor(d) as g, -d as h, sqrt(x) as i, x^2 as j, round(avg(x) over (), 1) as k, abs(d) as l from stg.wide
select replace(name, 'a', 'b') as a, regexp_replace(name, 'a', 'b') as b, trim(name) as c, substr(name, 1) as d, left(name, 2) as e, lpad(name, 3, 'x') as f, split_part(name, ',', 1) as g, concat_ws(',', name, name) as h, md5(name) as i, strpos(name, 'a') as j, string_split(name, ',') as k, name[1] as l from raw.customers
select year(created_at) as a, month(created_at) as b, extract(dow from created_at) as c, extract(second from created_at) as d, date_trunc('day', created_at) as e, date_trunc('month', created_at::date) as f, created_at + interval 1 day as g, created_at::date - interval 1 day as h, last_day(created_at) as i, dayname(created_at) as j, make_date(2020, 1, 1) as k, date_trunc('hour', created_at::timestamptz) as l, created_at - created_at as m, quarter(created_at) as n from raw.orders
select amount + amount as a, amount * 2 as b, amount / 2 as c, -amount as d, sum(amount) over () as e, coalesce(amount, 0) as f, amount - 1 as g, avg(amount) over () as h, round(amount) as i from raw.orders
select list(id) as a, array_agg(name) as b, list(amount) as c, max(created_at) as d, corr(id, id) as e, median(amount) as f, sum(id) as g from raw.orders, (select 'a' as name)
select current_date as a, current_timestamp as b, now() as c, date '2020-01-01' as d, timestamp '2020-01-01 00:00:00' as e, interval 1 day as f, '2020-01-01'::date + 1 as g
select date_diff('day', created_at, now()::timestamp) as a, date_part('year', created_at) as b, extract(epoch from created_at) as c, year(created_at) as d, created_at::date as e, strftime(created_at, '%Y') as f, created_at at time zone 'UTC' as g from raw.orders
select 1 as k union all select 2::bigint
select 'a' as k union all select null
select x, y from stg.a union all select z, x from stg.b
select x from stg.a union all by name select z, w from stg.wide
select id as a, a + 1 as b, b * 2 as c from raw.orders
select sum(x order by y) as a, first(x order by y) as b, max(x, 3) as c, count(distinct x) as d, count(distinct (x, y)) as e, quantile_cont(x, 0.5) as f from stg.a
select sum(x) filter (where y = 1) over (partition by x rows between unbounded preceding and current row exclude ties) as s from stg.a
select user, session_user, current_catalog, current_schema
select rowid from stg.a
select t.x from stg.a t where t.rowid = 0
select y collate nocase as c from (select 'a' as y) order by y collate nocase
select x from stg.a order by y desc nulls last limit (select 2) offset 1
select distinct on (x) x, y from stg.a order by x, y
select x from stg.a tablesample 10%
with a as materialized (select 1 as x), b as not materialized (select * from a) select * from b
select (select count(*) from stg.b) as n, array(select x from stg.a) as l
select trim(leading from name) as a, substring(name from 1 for 2) as b, position('a' in name) as c, overlay(name placing 'a' from 1) as d from raw.customers
select grouping(x) as g, x from stg.a group by rollup(x)
(select 1 as a) union all (select 2) order by 1 limit 3
with a as (select 1 as x) (select x from a union all select x from a)
select e'a\n' as a, $$it's$$ as b, 'a''b' as c
select o.meta.a.b as deep from (select {'a': {'b': 1}} as meta) o
select meta.a.b as deep from (select {'a': {'b': 1}} as meta) o
describe stg.a
summarize stg.a

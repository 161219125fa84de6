-- One redeem as one transaction over the same schema: the same reads, locks and writes as Couponry's, statement by statement.
-- Variables: org, first (serial of the first coupon of this run), at (epoch milliseconds), n (0). Each transaction takes a coupon of its own.
\set serial :first + :n * 32 + :client_id
\set n :n + 1
\set mobile 910000000000 + mod(:serial, 50000)
\set redemption (1 << 52) + (:org << 32) + :serial
BEGIN;
SELECT id AS customer_id, fraud_status, status_label FROM customer WHERE org_id = :org AND mobile = :mobile \gset
SELECT c.id AS coupon_id, c.series_id, s.version FROM coupon c JOIN series s ON s.org_id = c.org_id AND s.id = c.series_id JOIN series_version v ON v.org_id = s.org_id AND v.series_id = s.id AND v.version = s.version WHERE c.org_id = :org AND c.code_key = 'P' || :serial AND c.holder_id = 0 AND c.revision = 0 \gset
SELECT redeemed, uses, revoked_ms FROM coupon WHERE org_id = :org AND id = :coupon_id FOR UPDATE;
SELECT redeemed, uses AS customer_uses FROM customer_series WHERE org_id = :org AND customer_id = :customer_id AND series_id = :series_id FOR UPDATE \gset
SELECT fingerprint, created_ms, answer FROM idempotency WHERE org_id = :org AND digest = left(md5(:serial || 'P'), 20);
INSERT INTO redemption (org_id, id, coupon_id, use_number, series_id, series_version, customer_id, customer_use_number, till_id, store_id, redeemed_ms, amount, transaction_number, request_id) VALUES (:org, :redemption, :coupon_id, 1, :series_id, :version, :customer_id, :customer_uses + 1, 1, 1, :at, 1800000, 'T' || :serial, 'R' || :serial);
UPDATE coupon SET redeemed = redeemed + 1, uses = uses + 1 WHERE org_id = :org AND id = :coupon_id;
INSERT INTO customer_series AS c (org_id, customer_id, series_id, redeemed, uses, last_redeemed_ms) VALUES (:org, :customer_id, :series_id, 1, 1, :at) ON CONFLICT (org_id, customer_id, series_id) DO UPDATE SET redeemed = c.redeemed + 1, uses = c.uses + 1, last_redeemed_ms = excluded.last_redeemed_ms;
INSERT INTO series_counter AS c (org_id, series_id, stripe, redeemed, last_redeemed_ms) VALUES (:org, :series_id, :client_id + 1, 1, :at) ON CONFLICT (org_id, series_id, stripe) DO UPDATE SET redeemed = c.redeemed + 1, last_redeemed_ms = excluded.last_redeemed_ms;
INSERT INTO idempotency (org_id, digest, fingerprint, created_ms, answer) VALUES (:org, left(md5(:serial || 'P'), 20), decode(md5(:serial || 'F'), 'hex'), :at, convert_to(repeat('x', 300), 'UTF8'));
INSERT INTO outbox (org_id, event, subject_id, customer_id, request_id, created_ms) VALUES (:org, 'CouponRedeem', :redemption, :customer_id, 'R' || :serial, :at);
COMMIT;

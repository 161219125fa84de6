-- One redeem as one transaction: Couponry's own reads, locks and writes in its own schema, one statement after the other, as a
-- service with a transaction per request would send them. Every transaction takes a coupon of its own, so all succeed.
-- Given: org, till, store, batch and size (the coupons of this run), customers, first_mobile, first_redemption, at (epoch ms), n (0).
\set serial permute(:n * 32 + :client_id, :size)
\set n :n + 1
\set code_number mod((:serial + 1) * 48271, 2147483647)
\set mobile :first_mobile + mod(:serial * 7919, :customers)
\set redemption :first_redemption + :serial
BEGIN;
SELECT id AS customer_id, fraud_status, status_label FROM customer WHERE org_id = :org AND mobile = :mobile::text \gset
SELECT coupon.id AS coupon_id, coupon.series_id, series.version FROM coupon JOIN series ON series.org_id = coupon.org_id AND series.id = coupon.series_id JOIN series_version terms ON terms.org_id = series.org_id AND terms.series_id = series.id AND terms.version = series.version WHERE coupon.org_id = :org AND coupon.code_key = :batch::text || :code_number::text AND coupon.holder_id = 0 AND coupon.revision = 0 \gset
SELECT redeemed, uses AS coupon_uses FROM coupon WHERE org_id = :org AND id = :coupon_id FOR UPDATE \gset
SELECT redeemed, uses AS customer_uses FROM customer_series WHERE org_id = :org AND customer_id = :customer_id AND series_id = :series_id FOR UPDATE \gset
SELECT fingerprint, created_ms, answer FROM idempotency WHERE org_id = :org AND digest = left(md5(:batch::text || :serial::text), 20);
INSERT INTO redemption (org_id, id, coupon_id, use_number, series_id, series_version, customer_id, customer_use_number, till_id, store_id, redeemed_ms, amount, transaction_number, request_id) VALUES (:org, :redemption, :coupon_id, :coupon_uses + 1, :series_id, :version, :customer_id, :customer_uses + 1, :till, :store, :at, 1800000, :batch::text || :serial::text, md5(:serial::text));
UPDATE coupon SET redeemed = redeemed + 1, uses = uses + 1 WHERE org_id = :org AND id = :coupon_id;
INSERT INTO customer_series AS own (org_id, customer_id, series_id, redeemed, uses, last_redeemed_ms) VALUES (:org, :customer_id, :series_id, 1, 1, :at) ON CONFLICT (org_id, customer_id, series_id) DO UPDATE SET redeemed = own.redeemed + 1, uses = own.uses + 1, last_redeemed_ms = excluded.last_redeemed_ms;
INSERT INTO series_counter AS own (org_id, series_id, stripe, redeemed, last_redeemed_ms) VALUES (:org, :series_id, :client_id + 1, 1, :at) ON CONFLICT (org_id, series_id, stripe) DO UPDATE SET redeemed = own.redeemed + 1, last_redeemed_ms = excluded.last_redeemed_ms;
INSERT INTO idempotency (org_id, digest, fingerprint, created_ms, answer) VALUES (:org, left(md5(:batch::text || :serial::text), 20), '\x3138303030', :at, convert_to(repeat('x', 300), 'UTF8'));
INSERT INTO outbox (org_id, id, event, subject_id, customer_id, request_id, created_ms) VALUES (:org, :redemption, 'CouponRedeem', :redemption, :customer_id, md5(:serial::text), :at);
COMMIT;

BEGIN TRANSACTION;
CREATE TABLE ownership (
	singleton INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	owner TEXT NOT NULL, 
	last_lsn INTEGER NOT NULL, 
	last_at TEXT, 
	CONSTRAINT ownership_key PRIMARY KEY (singleton), 
	CONSTRAINT ownership_has_one_row CHECK (singleton = 1)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "ownership" VALUES(1,2,'a server of revision 6f2b435',25,'2023-11-14T22:14:21.000Z');
CREATE TABLE request (
	scope TEXT NOT NULL, 
	request_id TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	outcome TEXT NOT NULL, 
	lsn INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	CONSTRAINT request_key PRIMARY KEY (scope, request_id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "request" VALUES('
94157e3cb6b859a4bcb8cb321e57167a','import-1','f60bd71366fcc442e2c7fd1d0d142e87','{"type":"StockImported","lines":4,"rows_created":4,"rows_changed":0,"rows_unchanged":0,"new_organizations":["other","shop"]}',1,'2023-11-14T22:13:20.000Z');
INSERT INTO "request" VALUES('shop','announced-1','d9ccaf49565e2f496327057f2a8a46eb','{"type":"StockAnnounced","rows":[{"record":{"organization_id":"shop","variant_id":"pot","warehouse_id":"madrid","stock_id":"id-000003","available":5,"reserved":1,"damaged":0,"in_transit":6,"min_stock":9,"max_stock":0,"version":7,"is_deleted":false},"warehouse_name":"Madrid","is_new":false}],"organization_created":false}',18,'2023-11-14T22:14:21.000Z');
INSERT INTO "request" VALUES('shop','delivery-1','f16c92fc0ef66c098fbcb4f971bbcc0a','{"type":"StockReceived","rows":[{"record":{"organization_id":"shop","variant_id":"mug","warehouse_id":"lisbon","stock_id":"id-000002","available":12,"reserved":0,"damaged":0,"in_transit":0,"min_stock":0,"max_stock":0,"version":2,"is_deleted":false},"warehouse_name":"lisbon","is_new":false}],"organization_created":false}',2,'2023-11-14T22:13:20.000Z');
INSERT INTO "request" VALUES('shop','delivery-2','ad6f0b74828e1f1c1333e7dcfe4cf506','{"type":"StockReceived","rows":[{"record":{"organization_id":"shop","variant_id":"cup","warehouse_id":"porto","stock_id":"id-000005","available":3,"reserved":0,"damaged":1,"in_transit":0,"min_stock":0,"max_stock":0,"version":1,"is_deleted":false},"warehouse_name":"porto","is_new":true}],"organization_created":false}',3,'2023-11-14T22:13:20.000Z');
INSERT INTO "request" VALUES('shop','found-1','82bf3ee14fe77eaeec8d28a5f19efe11','{"type":"StockAdjusted","rows":[{"record":{"organization_id":"shop","variant_id":"mug","warehouse_id":"lisbon","stock_id":"id-000002","available":7,"reserved":0,"damaged":1,"in_transit":0,"min_stock":0,"max_stock":0,"version":5,"is_deleted":false},"warehouse_name":"lisbon","is_new":false},{"record":{"organization_id":"shop","variant_id":"pot","warehouse_id":"madrid","stock_id":"id-000003","available":6,"reserved":1,"damaged":0,"in_transit":6,"min_stock":9,"max_stock":0,"version":8,"is_deleted":false},"warehouse_name":"Madrid","is_new":false}]}',20,'2023-11-14T22:14:21.000Z');
INSERT INTO "request" VALUES('shop','found-2','00962a5da7d0f67b47283df203a611ff','{"type":"AdjustmentsRefused","rows":[{"cause":"below_reserved","record":{"organization_id":"shop","variant_id":"mug","warehouse_id":"madrid","stock_id":"id-000001","available":12,"reserved":5,"damaged":1,"in_transit":2,"min_stock":3,"max_stock":90,"version":5,"is_deleted":false},"pieces":1}]}',21,'2023-11-14T22:14:21.000Z');
INSERT INTO "request" VALUES('shop','import-2','9e89f27369e7bfe1ae8e337e62e0ac8f','{"type":"StockImported","lines":1,"rows_created":0,"rows_changed":1,"rows_unchanged":0,"new_organizations":[]}',25,'2023-11-14T22:14:21.000Z');
INSERT INTO "request" VALUES('shop','key-active','cb5122771807a0ce1198adfa0500af00','{"type":"StockReserved","reservation":{"reservation_id":"id-000006","organization_id":"shop","order_id":"active","state":"active","created_at_ms":1700000000000,"expires_at_ms":1702678400000,"items":[{"variant_id":"mug","warehouse_id":"madrid","requested_warehouse_id":"","stock_id":"id-000001","quantity":2,"stock_before":17,"stock_after":15},{"variant_id":"pot","warehouse_id":"madrid","requested_warehouse_id":"madrid","stock_id":"id-000003","quantity":1,"stock_before":8,"stock_after":7}],"confirmed_at_ms":0,"ended_at_ms":0,"reason":""}}',4,'2023-11-14T22:13:20.000Z');
INSERT INTO "request" VALUES('shop','key-short','3f85f2ca0e8cca9913f6e62d6c006916','{"type":"InsufficientStock","shortages":[{"variant_id":"mug","warehouse_id":"madrid","requested":99,"available":11,"alternatives":[{"warehouse_id":"lisbon","available":8}]}],"retry_after_ms":0}',10,'2023-11-14T22:13:20.000Z');
INSERT INTO "request" VALUES('shop','key-unknown','c2bdb21fb75a5bf11326b130ad36ec0b','{"type":"StockNotFound","variant_id":"hat","warehouse_id":"","alternatives":[],"others":[],"shortages":[]}',11,'2023-11-14T22:13:20.000Z');
INSERT INTO "request" VALUES('shop','ship-1','96413baf2a2f861df87bcdc86bfc966e','{"type":"ReservationFulfilled","reservation":{"reservation_id":"id-000008","organization_id":"shop","order_id":"sent","state":"fulfilled","created_at_ms":1700000000000,"expires_at_ms":1700000900000,"items":[{"variant_id":"mug","warehouse_id":"lisbon","requested_warehouse_id":"lisbon","stock_id":"id-000002","quantity":4,"stock_before":12,"stock_after":8},{"variant_id":"pot","warehouse_id":"madrid","requested_warehouse_id":"","stock_id":"id-000003","quantity":2,"stock_before":7,"stock_after":5}],"confirmed_at_ms":1700000000000,"ended_at_ms":1700000000000,"reason":""}}',15,'2023-11-14T22:13:20.000Z');
INSERT INTO "request" VALUES('shop','ship-2','31599e80ef2e18d7ea903ffe362fee33','{"type":"ReservationNotConfirmed","reservation_id":"id-000006"}',16,'2023-11-14T22:13:20.000Z');
INSERT INTO "request" VALUES('shop','till-1','4d2694a9e9403175425a7bcdeef90a75','{"type":"StockDeducted","rows":[{"record":{"organization_id":"shop","variant_id":"cup","warehouse_id":"porto","stock_id":"id-000005","available":2,"reserved":0,"damaged":1,"in_transit":0,"min_stock":0,"max_stock":0,"version":4,"is_deleted":false},"warehouse_name":"porto","is_new":false}],"lines":[{"variant_id":"cup","warehouse_id":"porto","quantity":1}]}',19,'2023-11-14T22:14:21.000Z');
INSERT INTO "request" VALUES('shop','typo-1','2aa4191b92b165998c4b6d6b9473b34a','{"type":"StockReceived","rows":[{"record":{"organization_id":"shop","variant_id":"capp","warehouse_id":"madrid","stock_id":"id-000012","available":1,"reserved":0,"damaged":0,"in_transit":0,"min_stock":0,"max_stock":0,"version":1,"is_deleted":false},"warehouse_name":"Madrid","is_new":true}],"organization_created":false}',22,'2023-11-14T22:14:21.000Z');
INSERT INTO "request" VALUES('shop','typo-2','eb7966032cefebb7c5031257b0b44cc2','{"type":"StockDeducted","rows":[{"record":{"organization_id":"shop","variant_id":"capp","warehouse_id":"madrid","stock_id":"id-000012","available":0,"reserved":0,"damaged":0,"in_transit":0,"min_stock":0,"max_stock":0,"version":2,"is_deleted":false},"warehouse_name":"Madrid","is_new":false}],"lines":[{"variant_id":"capp","warehouse_id":"madrid","quantity":1}]}',23,'2023-11-14T22:14:21.000Z');
INSERT INTO "request" VALUES('shop','typo-3','26094aad8332ed565e58eb6540b6c712','{"type":"StockDeleted","stock_id":"id-000012"}',24,'2023-11-14T22:14:21.000Z');
CREATE TABLE reservation (
	organization_id TEXT NOT NULL, 
	reservation_id TEXT NOT NULL, 
	order_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	expires_at TEXT NOT NULL, 
	confirmed_at TEXT, 
	ended_at TEXT, 
	reason TEXT NOT NULL, 
	lsn INTEGER NOT NULL, 
	CONSTRAINT reservation_key PRIMARY KEY (organization_id, reservation_id), 
	CONSTRAINT reservation_state_agrees_with_its_times CHECK (CASE state WHEN 'active' THEN confirmed_at IS NULL AND ended_at IS NULL WHEN 'confirmed' THEN confirmed_at IS NOT NULL AND ended_at IS NULL WHEN 'fulfilled' THEN confirmed_at IS NOT NULL AND ended_at IS NOT NULL WHEN 'released' THEN ended_at IS NOT NULL WHEN 'expired' THEN confirmed_at IS NULL AND ended_at IS NOT NULL ELSE FALSE END)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "reservation" VALUES('other','id-000011','theirs','active','2023-11-14T22:13:20.000Z','2023-12-15T22:13:20.000Z',NULL,NULL,'',9);
INSERT INTO "reservation" VALUES('shop','id-000006','active','active','2023-11-14T22:13:20.000Z','2023-12-15T22:13:20.000Z',NULL,NULL,'',4);
INSERT INTO "reservation" VALUES('shop','id-000007','paid','confirmed','2023-11-14T22:13:20.000Z','2023-11-14T23:13:20.000Z','2023-11-14T22:13:20.000Z',NULL,'',5);
INSERT INTO "reservation" VALUES('shop','id-000008','sent','fulfilled','2023-11-14T22:13:20.000Z','2023-11-14T22:28:20.000Z','2023-11-14T22:13:20.000Z','2023-11-14T22:13:20.000Z','',6);
INSERT INTO "reservation" VALUES('shop','id-000009','gone','released','2023-11-14T22:13:20.000Z','2023-11-14T22:28:20.000Z',NULL,'2023-11-14T22:13:20.000Z','card declined',7);
INSERT INTO "reservation" VALUES('shop','id-000010','late','expired','2023-11-14T22:13:20.000Z','2023-11-14T22:14:20.000Z',NULL,'2023-11-14T22:14:21.000Z','',8);
CREATE TABLE reservation_archive (
	organization_id TEXT NOT NULL, 
	reservation_id TEXT NOT NULL, 
	order_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	expires_at TEXT NOT NULL, 
	confirmed_at TEXT, 
	ended_at TEXT, 
	reason TEXT NOT NULL, 
	lsn INTEGER NOT NULL, 
	CONSTRAINT reservation_archive_key PRIMARY KEY (organization_id, reservation_id), 
	CONSTRAINT reservation_archive_is_of_what_ended CHECK (ended_at IS NOT NULL)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE reservation_item (
	organization_id TEXT NOT NULL, 
	reservation_id TEXT NOT NULL, 
	line INTEGER NOT NULL, 
	variant_id TEXT NOT NULL, 
	warehouse_id TEXT NOT NULL, 
	requested_warehouse_id TEXT NOT NULL, 
	stock_id TEXT NOT NULL, 
	quantity INTEGER NOT NULL, 
	stock_before INTEGER NOT NULL, 
	stock_after INTEGER NOT NULL, 
	CONSTRAINT reservation_item_key PRIMARY KEY (organization_id, reservation_id, line), 
	CONSTRAINT reservation_item_has_a_quantity CHECK (quantity > 0)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "reservation_item" VALUES('other','id-000011',0,'mug','paris','','id-000004',1,4,3);
INSERT INTO "reservation_item" VALUES('shop','id-000006',0,'mug','madrid','','id-000001',2,17,15);
INSERT INTO "reservation_item" VALUES('shop','id-000006',1,'pot','madrid','madrid','id-000003',1,8,7);
INSERT INTO "reservation_item" VALUES('shop','id-000007',0,'mug','madrid','madrid','id-000001',3,15,12);
INSERT INTO "reservation_item" VALUES('shop','id-000008',0,'mug','lisbon','lisbon','id-000002',4,12,8);
INSERT INTO "reservation_item" VALUES('shop','id-000008',1,'pot','madrid','','id-000003',2,7,5);
INSERT INTO "reservation_item" VALUES('shop','id-000009',0,'pot','madrid','','id-000003',1,5,4);
INSERT INTO "reservation_item" VALUES('shop','id-000010',0,'mug','madrid','','id-000001',1,12,11);
INSERT INTO "reservation_item" VALUES('shop','id-000010',1,'cup','porto','','id-000005',1,3,2);
CREATE TABLE reservation_item_archive (
	organization_id TEXT NOT NULL, 
	reservation_id TEXT NOT NULL, 
	line INTEGER NOT NULL, 
	variant_id TEXT NOT NULL, 
	warehouse_id TEXT NOT NULL, 
	requested_warehouse_id TEXT NOT NULL, 
	stock_id TEXT NOT NULL, 
	quantity INTEGER NOT NULL, 
	stock_before INTEGER NOT NULL, 
	stock_after INTEGER NOT NULL, 
	CONSTRAINT reservation_item_archive_key PRIMARY KEY (organization_id, reservation_id, line)
)
 WITHOUT ROWID,
 STRICT

;
ANALYZE "sqlite_master";
INSERT INTO "sqlite_stat1" VALUES('stock','stock','1000000 100000 4 1');
INSERT INTO "sqlite_stat1" VALUES('stock','stock_by_warehouse','1000000 100000 10000 1');
INSERT INTO "sqlite_stat1" VALUES('reservation','reservation','1000000 100000 1');
INSERT INTO "sqlite_stat1" VALUES('reservation','reservation_by_order','1000000 100000 2 1');
INSERT INTO "sqlite_stat1" VALUES('reservation','reservation_by_state','1000000 100000 20000 1');
INSERT INTO "sqlite_stat1" VALUES('reservation','reservation_by_expiry','10000 2 1 1');
INSERT INTO "sqlite_stat1" VALUES('reservation_item','reservation_item','2000000 200000 2 1');
INSERT INTO "sqlite_stat1" VALUES('stock_movement','stock_movement','4000000 2 1');
INSERT INTO "sqlite_stat1" VALUES('request','request','1000000 100000 1');
CREATE TABLE stock (
	organization_id TEXT NOT NULL, 
	variant_id TEXT NOT NULL, 
	warehouse_id TEXT NOT NULL, 
	stock_id TEXT NOT NULL, 
	total INTEGER NOT NULL, 
	available INTEGER NOT NULL, 
	reserved INTEGER NOT NULL, 
	damaged INTEGER NOT NULL, 
	in_transit INTEGER NOT NULL, 
	min_stock INTEGER NOT NULL, 
	max_stock INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT stock_key PRIMARY KEY (organization_id, variant_id, warehouse_id), 
	CONSTRAINT stock_is_never_negative CHECK (available >= 0 AND reserved >= 0 AND damaged >= 0 AND in_transit >= 0), 
	CONSTRAINT stock_total_is_the_sum CHECK (total = available + reserved + damaged + in_transit), 
	CONSTRAINT stock_total_fits CHECK (total <= 2147483647), 
	CONSTRAINT stock_bounds_are_never_negative CHECK (min_stock >= 0 AND max_stock >= 0), 
	CONSTRAINT stock_version_counts_from_one CHECK (version >= 1)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "stock" VALUES('other','mug','paris','id-000004',4,3,1,0,0,0,0,2);
INSERT INTO "stock" VALUES('shop','cup','porto','id-000005',3,2,0,1,0,0,0,4);
INSERT INTO "stock" VALUES('shop','mug','lisbon','id-000002',8,7,0,1,0,0,0,5);
INSERT INTO "stock" VALUES('shop','mug','madrid','id-000001',18,12,5,1,0,3,90,6);
INSERT INTO "stock" VALUES('shop','pot','madrid','id-000003',13,6,1,0,6,9,0,8);
CREATE TABLE stock_movement (
	lsn INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	organization_id TEXT NOT NULL, 
	variant_id TEXT NOT NULL, 
	warehouse_id TEXT NOT NULL, 
	available_delta INTEGER GENERATED ALWAYS AS (available_after - available_before) STORED, 
	reserved_delta INTEGER GENERATED ALWAYS AS (reserved_after - reserved_before) STORED, 
	damaged_delta INTEGER GENERATED ALWAYS AS (damaged_after - damaged_before) STORED, 
	in_transit_delta INTEGER GENERATED ALWAYS AS (in_transit_after - in_transit_before) STORED, 
	available_before INTEGER NOT NULL, 
	reserved_before INTEGER NOT NULL, 
	damaged_before INTEGER NOT NULL, 
	in_transit_before INTEGER NOT NULL, 
	available_after INTEGER NOT NULL, 
	reserved_after INTEGER NOT NULL, 
	damaged_after INTEGER NOT NULL, 
	in_transit_after INTEGER NOT NULL, 
	reference TEXT NOT NULL, 
	reason TEXT NOT NULL, reservation_id TEXT DEFAULT '' NOT NULL, order_id TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT stock_movement_key PRIMARY KEY (lsn, position)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "stock_movement" VALUES(1,0,'2023-11-14T22:13:20.000Z','import','shop','mug','madrid',0,0,0,0,17,0,1,2,'import-1','','','');
INSERT INTO "stock_movement" VALUES(1,1,'2023-11-14T22:13:20.000Z','import','shop','mug','lisbon',0,0,0,0,5,0,0,0,'import-1','','','');
INSERT INTO "stock_movement" VALUES(1,2,'2023-11-14T22:13:20.000Z','import','shop','pot','madrid',0,0,0,0,8,0,0,0,'import-1','','','');
INSERT INTO "stock_movement" VALUES(1,3,'2023-11-14T22:13:20.000Z','import','other','mug','paris',0,0,0,0,4,0,0,0,'import-1','','','');
INSERT INTO "stock_movement" VALUES(2,0,'2023-11-14T22:13:20.000Z','receive','shop','mug','lisbon',5,0,0,0,12,0,0,0,'PO-1','purchase','','');
INSERT INTO "stock_movement" VALUES(3,0,'2023-11-14T22:13:20.000Z','receive','shop','cup','porto',0,0,0,0,3,0,1,0,'PO-2','purchase','','');
INSERT INTO "stock_movement" VALUES(4,0,'2023-11-14T22:13:20.000Z','reserve','shop','mug','madrid',17,0,1,2,15,2,1,2,'','','id-000006','active');
INSERT INTO "stock_movement" VALUES(4,1,'2023-11-14T22:13:20.000Z','reserve','shop','pot','madrid',8,0,0,0,7,1,0,0,'','','id-000006','active');
INSERT INTO "stock_movement" VALUES(5,0,'2023-11-14T22:13:20.000Z','reserve','shop','mug','madrid',15,2,1,2,12,5,1,2,'','','id-000007','paid');
INSERT INTO "stock_movement" VALUES(6,0,'2023-11-14T22:13:20.000Z','reserve','shop','mug','lisbon',12,0,0,0,8,4,0,0,'','','id-000008','sent');
INSERT INTO "stock_movement" VALUES(6,1,'2023-11-14T22:13:20.000Z','reserve','shop','pot','madrid',7,1,0,0,5,3,0,0,'','','id-000008','sent');
INSERT INTO "stock_movement" VALUES(7,0,'2023-11-14T22:13:20.000Z','reserve','shop','pot','madrid',5,3,0,0,4,4,0,0,'','','id-000009','gone');
INSERT INTO "stock_movement" VALUES(8,0,'2023-11-14T22:13:20.000Z','reserve','shop','cup','porto',3,0,1,0,2,1,1,0,'','','id-000010','late');
INSERT INTO "stock_movement" VALUES(8,1,'2023-11-14T22:13:20.000Z','reserve','shop','mug','madrid',12,5,1,2,11,6,1,2,'','','id-000010','late');
INSERT INTO "stock_movement" VALUES(9,0,'2023-11-14T22:13:20.000Z','reserve','other','mug','paris',4,0,0,0,3,1,0,0,'','','id-000011','theirs');
INSERT INTO "stock_movement" VALUES(14,0,'2023-11-14T22:13:20.000Z','release','shop','pot','madrid',4,4,0,0,5,3,0,0,'','card declined','id-000009','gone');
INSERT INTO "stock_movement" VALUES(15,0,'2023-11-14T22:13:20.000Z','fulfill','shop','mug','lisbon',8,4,0,0,8,0,0,0,'parcel 7','','id-000008','sent');
INSERT INTO "stock_movement" VALUES(15,1,'2023-11-14T22:13:20.000Z','fulfill','shop','pot','madrid',5,3,0,0,5,1,0,0,'parcel 7','','id-000008','sent');
INSERT INTO "stock_movement" VALUES(17,0,'2023-11-14T22:14:21.000Z','expire','shop','cup','porto',2,1,1,0,3,0,1,0,'','','id-000010','late');
INSERT INTO "stock_movement" VALUES(17,1,'2023-11-14T22:14:21.000Z','expire','shop','mug','madrid',11,6,1,2,12,5,1,2,'','','id-000010','late');
INSERT INTO "stock_movement" VALUES(18,0,'2023-11-14T22:14:21.000Z','announce','shop','pot','madrid',5,1,0,0,5,1,0,6,'PO-3','','','');
INSERT INTO "stock_movement" VALUES(19,0,'2023-11-14T22:14:21.000Z','deduct','shop','cup','porto',3,0,1,0,2,0,1,0,'R-1','till','','');
INSERT INTO "stock_movement" VALUES(20,0,'2023-11-14T22:14:21.000Z','adjust','shop','mug','lisbon',8,0,0,0,7,0,1,0,'','found','','');
INSERT INTO "stock_movement" VALUES(20,1,'2023-11-14T22:14:21.000Z','adjust','shop','pot','madrid',5,1,0,6,6,1,0,6,'','found','','');
INSERT INTO "stock_movement" VALUES(22,0,'2023-11-14T22:14:21.000Z','receive','shop','capp','madrid',0,0,0,0,1,0,0,0,'','','','');
INSERT INTO "stock_movement" VALUES(23,0,'2023-11-14T22:14:21.000Z','deduct','shop','capp','madrid',1,0,0,0,0,0,0,0,'','','','');
INSERT INTO "stock_movement" VALUES(24,0,'2023-11-14T22:14:21.000Z','delete','shop','capp','madrid',0,0,0,0,0,0,0,0,'','','','');
INSERT INTO "stock_movement" VALUES(25,0,'2023-11-14T22:14:21.000Z','import','shop','mug','madrid',12,5,1,2,12,5,1,0,'import-2','','','');
CREATE TABLE stock_movement_archive (
	lsn INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	organization_id TEXT NOT NULL, 
	variant_id TEXT NOT NULL, 
	warehouse_id TEXT NOT NULL, 
	available_delta INTEGER GENERATED ALWAYS AS (available_after - available_before) STORED, 
	reserved_delta INTEGER GENERATED ALWAYS AS (reserved_after - reserved_before) STORED, 
	damaged_delta INTEGER GENERATED ALWAYS AS (damaged_after - damaged_before) STORED, 
	in_transit_delta INTEGER GENERATED ALWAYS AS (in_transit_after - in_transit_before) STORED, 
	available_before INTEGER NOT NULL, 
	reserved_before INTEGER NOT NULL, 
	damaged_before INTEGER NOT NULL, 
	in_transit_before INTEGER NOT NULL, 
	available_after INTEGER NOT NULL, 
	reserved_after INTEGER NOT NULL, 
	damaged_after INTEGER NOT NULL, 
	in_transit_after INTEGER NOT NULL, 
	reference TEXT NOT NULL, 
	reason TEXT NOT NULL, reservation_id TEXT DEFAULT '' NOT NULL, order_id TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT stock_movement_archive_key PRIMARY KEY (lsn, position)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE stock_opening (
	organization_id TEXT NOT NULL, 
	variant_id TEXT NOT NULL, 
	warehouse_id TEXT NOT NULL, 
	available INTEGER NOT NULL, 
	reserved INTEGER NOT NULL, 
	damaged INTEGER NOT NULL, 
	in_transit INTEGER NOT NULL, 
	lsn INTEGER NOT NULL, 
	CONSTRAINT stock_opening_key PRIMARY KEY (organization_id, variant_id, warehouse_id)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE stockkeeper_schema_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT stockkeeper_schema_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "stockkeeper_schema_version" VALUES('0003');
CREATE TABLE warehouse (
	organization_id TEXT NOT NULL, 
	warehouse_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	CONSTRAINT warehouse_key PRIMARY KEY (organization_id, warehouse_id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "warehouse" VALUES('other','paris','paris');
INSERT INTO "warehouse" VALUES('shop','lisbon','lisbon');
INSERT INTO "warehouse" VALUES('shop','madrid','Madrid');
INSERT INTO "warehouse" VALUES('shop','porto','porto');
CREATE INDEX stock_by_warehouse ON stock (organization_id, warehouse_id, variant_id);
CREATE INDEX reservation_by_order ON reservation (organization_id, order_id);
CREATE INDEX reservation_by_state ON reservation (organization_id, state, reservation_id);
CREATE INDEX reservation_by_expiry ON reservation (expires_at, organization_id, reservation_id) WHERE state = 'active';
CREATE INDEX reservation_by_end ON reservation (ended_at, organization_id, reservation_id) WHERE ended_at IS NOT NULL;
CREATE INDEX request_by_age ON request (at, scope, request_id);
COMMIT;

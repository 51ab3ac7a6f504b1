BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
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
INSERT INTO "ownership" VALUES(1,1,'a server of revision f239411',34,'2026-10-01T14:15:22.210Z');
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
INSERT INTO "request" VALUES('','import-2','8557e8b5e07e51aec2ae9d8c5754d8e1','{"type":"StockImported","lines":3,"rows_created":0,"rows_changed":2,"rows_unchanged":1}',18,'2026-10-01T14:14:21.111Z');
INSERT INTO "request" VALUES('shop','delivery-2','c7092f5a17b99fa587875982e571b2c0','{"type":"StockReceived","stock_id":"id-0001","total":57,"available":52,"available_before":45}',19,'2026-10-01T14:14:21.118Z');
INSERT INTO "request" VALUES('shop','key-2','911c9cbeac8f71e11a546009c5815f06','{"type":"StockReserved","reservation":{"reservation_id":"id-0012","organization_id":"shop","order_id":"b2","state":"active","created_at_ms":1790864061147,"expires_at_ms":1790864961147,"items":[{"variant_id":"mug","warehouse_id":"madrid","requested_warehouse_id":"madrid","stock_id":"id-0001","quantity":3,"stock_before":50,"stock_after":47}],"confirmed_at_ms":0,"ended_at_ms":0,"reason":""}}',23,'2026-10-01T14:14:21.147Z');
INSERT INTO "request" VALUES('shop','ship-2','f205165521a46676b7a6ae67fa71baf3','{"type":"ReservationFulfilled","reservation":{"reservation_id":"id-0011","organization_id":"shop","order_id":"a2","state":"fulfilled","created_at_ms":1790864061125,"expires_at_ms":1790864961125,"items":[{"variant_id":"mug","warehouse_id":"madrid","requested_warehouse_id":"","stock_id":"id-0001","quantity":2,"stock_before":52,"stock_after":50},{"variant_id":"pot","warehouse_id":"paris","requested_warehouse_id":"paris","stock_id":"id-0002","quantity":1,"stock_before":17,"stock_after":16}],"confirmed_at_ms":1790864061132,"ended_at_ms":1790864061140,"reason":""}}',22,'2026-10-01T14:14:21.140Z');
INSERT INTO "request" VALUES('shop','ship-again-2','0fc75a850647457548e6bd15792fb29a','{"type":"ReservationFulfilled","reservation":{"reservation_id":"id-0013","organization_id":"shop","order_id":"b2","state":"fulfilled","created_at_ms":1790864061161,"expires_at_ms":1790864961161,"items":[{"variant_id":"mug","warehouse_id":"madrid","requested_warehouse_id":"madrid","stock_id":"id-0001","quantity":1,"stock_before":50,"stock_after":49}],"confirmed_at_ms":1790864061167,"ended_at_ms":1790864061174,"reason":""}}',27,'2026-10-01T14:14:21.174Z');
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
INSERT INTO "reservation" VALUES('other','id-0015','c2','expired','2026-10-01T14:14:21.188Z','2026-10-01T14:15:21.188Z',NULL,'2026-10-01T14:15:22.210Z','',29);
INSERT INTO "reservation" VALUES('shop','id-0009','d1','confirmed','2026-09-21T14:13:20.091Z','2026-10-22T14:13:20.091Z','2026-09-21T14:13:20.098Z',NULL,'',13);
INSERT INTO "reservation" VALUES('shop','id-0010','e1','active','2026-09-21T14:13:20.105Z','2026-10-22T14:13:20.105Z',NULL,NULL,'',15);
INSERT INTO "reservation" VALUES('shop','id-0011','a2','fulfilled','2026-10-01T14:14:21.125Z','2026-10-01T14:29:21.125Z','2026-10-01T14:14:21.132Z','2026-10-01T14:14:21.140Z','',20);
INSERT INTO "reservation" VALUES('shop','id-0012','b2','released','2026-10-01T14:14:21.147Z','2026-10-01T14:29:21.147Z',NULL,'2026-10-01T14:14:21.154Z','card declined',23);
INSERT INTO "reservation" VALUES('shop','id-0013','b2','fulfilled','2026-10-01T14:14:21.161Z','2026-10-01T14:29:21.161Z','2026-10-01T14:14:21.167Z','2026-10-01T14:14:21.174Z','',25);
INSERT INTO "reservation" VALUES('shop','id-0014','c2','expired','2026-10-01T14:14:21.181Z','2026-10-01T14:15:21.181Z',NULL,'2026-10-01T14:15:22.210Z','',28);
INSERT INTO "reservation" VALUES('shop','id-0016','d2','confirmed','2026-10-01T14:14:21.196Z','2026-11-01T14:14:21.196Z','2026-10-01T14:14:21.203Z',NULL,'',30);
INSERT INTO "reservation" VALUES('shop','id-0017','e2','active','2026-10-01T14:14:21.210Z','2026-11-01T14:14:21.210Z',NULL,NULL,'',32);
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
INSERT INTO "reservation_archive" VALUES('other','id-0008','c1','expired','2026-09-21T14:13:20.084Z','2026-09-21T14:14:20.084Z',NULL,'2026-09-21T14:14:21.105Z','',12);
INSERT INTO "reservation_archive" VALUES('shop','id-0004','a1','fulfilled','2026-09-21T14:13:20.020Z','2026-09-21T14:28:20.020Z','2026-09-21T14:13:20.028Z','2026-09-21T14:13:20.035Z','',3);
INSERT INTO "reservation_archive" VALUES('shop','id-0005','b1','released','2026-09-21T14:13:20.042Z','2026-09-21T14:28:20.042Z',NULL,'2026-09-21T14:13:20.049Z','card declined',6);
INSERT INTO "reservation_archive" VALUES('shop','id-0006','b1','fulfilled','2026-09-21T14:13:20.055Z','2026-09-21T14:28:20.055Z','2026-09-21T14:13:20.062Z','2026-09-21T14:13:20.069Z','',8);
INSERT INTO "reservation_archive" VALUES('shop','id-0007','c1','expired','2026-09-21T14:13:20.076Z','2026-09-21T14:14:20.076Z',NULL,'2026-09-21T14:14:21.105Z','',11);
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
INSERT INTO "reservation_item" VALUES('other','id-0015',0,'mug','madrid','madrid','id-0003',1,5,4);
INSERT INTO "reservation_item" VALUES('shop','id-0009',0,'mug','madrid','madrid','id-0001',2,51,49);
INSERT INTO "reservation_item" VALUES('shop','id-0009',1,'pot','paris','paris','id-0002',2,15,13);
INSERT INTO "reservation_item" VALUES('shop','id-0010',0,'pot','paris','paris','id-0002',1,13,12);
INSERT INTO "reservation_item" VALUES('shop','id-0011',0,'mug','madrid','','id-0001',2,52,50);
INSERT INTO "reservation_item" VALUES('shop','id-0011',1,'pot','paris','paris','id-0002',1,17,16);
INSERT INTO "reservation_item" VALUES('shop','id-0012',0,'mug','madrid','madrid','id-0001',3,50,47);
INSERT INTO "reservation_item" VALUES('shop','id-0013',0,'mug','madrid','madrid','id-0001',1,50,49);
INSERT INTO "reservation_item" VALUES('shop','id-0014',0,'pot','paris','paris','id-0002',4,16,12);
INSERT INTO "reservation_item" VALUES('shop','id-0016',0,'mug','madrid','madrid','id-0001',2,49,47);
INSERT INTO "reservation_item" VALUES('shop','id-0016',1,'pot','paris','paris','id-0002',2,12,10);
INSERT INTO "reservation_item" VALUES('shop','id-0017',0,'pot','paris','paris','id-0002',1,10,9);
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
INSERT INTO "reservation_item_archive" VALUES('other','id-0008',0,'mug','madrid','madrid','id-0003',1,5,4);
INSERT INTO "reservation_item_archive" VALUES('shop','id-0004',0,'mug','madrid','','id-0001',2,54,52);
INSERT INTO "reservation_item_archive" VALUES('shop','id-0004',1,'pot','paris','paris','id-0002',1,20,19);
INSERT INTO "reservation_item_archive" VALUES('shop','id-0005',0,'mug','madrid','madrid','id-0001',3,52,49);
INSERT INTO "reservation_item_archive" VALUES('shop','id-0006',0,'mug','madrid','madrid','id-0001',1,52,51);
INSERT INTO "reservation_item_archive" VALUES('shop','id-0007',0,'pot','paris','paris','id-0002',4,19,15);
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
INSERT INTO "stock" VALUES('other','mug','madrid','id-0003',5,5,0,0,0,0,0,5);
INSERT INTO "stock" VALUES('shop','mug','madrid','id-0001',54,47,4,1,2,3,90,18);
INSERT INTO "stock" VALUES('shop','pot','paris','id-0002',19,13,6,0,0,0,0,14);
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
	reason TEXT NOT NULL, 
	CONSTRAINT stock_movement_key PRIMARY KEY (lsn, position)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "stock_movement" VALUES(12,0,'2026-09-21T14:13:20.084Z','reserve','other','mug','madrid',5,0,0,0,4,1,0,0,'c1','');
INSERT INTO "stock_movement" VALUES(13,0,'2026-09-21T14:13:20.091Z','reserve','shop','mug','madrid',51,0,1,2,49,2,1,2,'d1','');
INSERT INTO "stock_movement" VALUES(13,1,'2026-09-21T14:13:20.091Z','reserve','shop','pot','paris',15,4,0,0,13,6,0,0,'d1','');
INSERT INTO "stock_movement" VALUES(15,0,'2026-09-21T14:13:20.105Z','reserve','shop','pot','paris',13,6,0,0,12,7,0,0,'e1','');
INSERT INTO "stock_movement" VALUES(16,0,'2026-09-21T14:14:21.105Z','expire','shop','pot','paris',12,7,0,0,16,3,0,0,'c1','');
INSERT INTO "stock_movement" VALUES(17,0,'2026-09-21T14:14:21.105Z','expire','other','mug','madrid',4,1,0,0,5,0,0,0,'c1','');
INSERT INTO "stock_movement" VALUES(18,0,'2026-10-01T14:14:21.111Z','import','shop','mug','madrid',49,2,1,2,45,2,1,2,'import-2','');
INSERT INTO "stock_movement" VALUES(18,1,'2026-10-01T14:14:21.111Z','import','shop','pot','paris',16,3,0,0,17,3,0,0,'import-2','');
INSERT INTO "stock_movement" VALUES(19,0,'2026-10-01T14:14:21.118Z','receive','shop','mug','madrid',45,2,1,2,52,2,1,2,'PO-2','purchase');
INSERT INTO "stock_movement" VALUES(20,0,'2026-10-01T14:14:21.125Z','reserve','shop','mug','madrid',52,2,1,2,50,4,1,2,'a2','');
INSERT INTO "stock_movement" VALUES(20,1,'2026-10-01T14:14:21.125Z','reserve','shop','pot','paris',17,3,0,0,16,4,0,0,'a2','');
INSERT INTO "stock_movement" VALUES(22,0,'2026-10-01T14:14:21.140Z','fulfill','shop','mug','madrid',50,4,1,2,50,2,1,2,'SHIP-2','');
INSERT INTO "stock_movement" VALUES(22,1,'2026-10-01T14:14:21.140Z','fulfill','shop','pot','paris',16,4,0,0,16,3,0,0,'SHIP-2','');
INSERT INTO "stock_movement" VALUES(23,0,'2026-10-01T14:14:21.147Z','reserve','shop','mug','madrid',50,2,1,2,47,5,1,2,'b2','');
INSERT INTO "stock_movement" VALUES(24,0,'2026-10-01T14:14:21.154Z','release','shop','mug','madrid',47,5,1,2,50,2,1,2,'b2','card declined');
INSERT INTO "stock_movement" VALUES(25,0,'2026-10-01T14:14:21.161Z','reserve','shop','mug','madrid',50,2,1,2,49,3,1,2,'b2','');
INSERT INTO "stock_movement" VALUES(27,0,'2026-10-01T14:14:21.174Z','fulfill','shop','mug','madrid',49,3,1,2,49,2,1,2,'b2','');
INSERT INTO "stock_movement" VALUES(28,0,'2026-10-01T14:14:21.181Z','reserve','shop','pot','paris',16,3,0,0,12,7,0,0,'c2','');
INSERT INTO "stock_movement" VALUES(29,0,'2026-10-01T14:14:21.188Z','reserve','other','mug','madrid',5,0,0,0,4,1,0,0,'c2','');
INSERT INTO "stock_movement" VALUES(30,0,'2026-10-01T14:14:21.196Z','reserve','shop','mug','madrid',49,2,1,2,47,4,1,2,'d2','');
INSERT INTO "stock_movement" VALUES(30,1,'2026-10-01T14:14:21.196Z','reserve','shop','pot','paris',12,7,0,0,10,9,0,0,'d2','');
INSERT INTO "stock_movement" VALUES(32,0,'2026-10-01T14:14:21.210Z','reserve','shop','pot','paris',10,9,0,0,9,10,0,0,'e2','');
INSERT INTO "stock_movement" VALUES(33,0,'2026-10-01T14:15:22.210Z','expire','shop','pot','paris',9,10,0,0,13,6,0,0,'c2','');
INSERT INTO "stock_movement" VALUES(34,0,'2026-10-01T14:15:22.210Z','expire','other','mug','madrid',4,1,0,0,5,0,0,0,'c2','');
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
	reason TEXT NOT NULL, 
	CONSTRAINT stock_movement_archive_key PRIMARY KEY (lsn, position)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "stock_movement_archive" VALUES(1,0,'2026-09-21T14:13:20.006Z','import','shop','mug','madrid',0,0,0,0,47,0,1,2,'import-1','');
INSERT INTO "stock_movement_archive" VALUES(1,1,'2026-09-21T14:13:20.006Z','import','shop','pot','paris',0,0,0,0,20,0,0,0,'import-1','');
INSERT INTO "stock_movement_archive" VALUES(1,2,'2026-09-21T14:13:20.006Z','import','other','mug','madrid',0,0,0,0,5,0,0,0,'import-1','');
INSERT INTO "stock_movement_archive" VALUES(2,0,'2026-09-21T14:13:20.013Z','receive','shop','mug','madrid',47,0,1,2,54,0,1,2,'PO-1','purchase');
INSERT INTO "stock_movement_archive" VALUES(3,0,'2026-09-21T14:13:20.020Z','reserve','shop','mug','madrid',54,0,1,2,52,2,1,2,'a1','');
INSERT INTO "stock_movement_archive" VALUES(3,1,'2026-09-21T14:13:20.020Z','reserve','shop','pot','paris',20,0,0,0,19,1,0,0,'a1','');
INSERT INTO "stock_movement_archive" VALUES(5,0,'2026-09-21T14:13:20.035Z','fulfill','shop','mug','madrid',52,2,1,2,52,0,1,2,'SHIP-1','');
INSERT INTO "stock_movement_archive" VALUES(5,1,'2026-09-21T14:13:20.035Z','fulfill','shop','pot','paris',19,1,0,0,19,0,0,0,'SHIP-1','');
INSERT INTO "stock_movement_archive" VALUES(6,0,'2026-09-21T14:13:20.042Z','reserve','shop','mug','madrid',52,0,1,2,49,3,1,2,'b1','');
INSERT INTO "stock_movement_archive" VALUES(7,0,'2026-09-21T14:13:20.049Z','release','shop','mug','madrid',49,3,1,2,52,0,1,2,'b1','card declined');
INSERT INTO "stock_movement_archive" VALUES(8,0,'2026-09-21T14:13:20.055Z','reserve','shop','mug','madrid',52,0,1,2,51,1,1,2,'b1','');
INSERT INTO "stock_movement_archive" VALUES(10,0,'2026-09-21T14:13:20.069Z','fulfill','shop','mug','madrid',51,1,1,2,51,0,1,2,'b1','');
INSERT INTO "stock_movement_archive" VALUES(11,0,'2026-09-21T14:13:20.076Z','reserve','shop','pot','paris',19,0,0,0,15,4,0,0,'c1','');
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
INSERT INTO "stock_opening" VALUES('other','mug','madrid',5,0,0,0,1);
INSERT INTO "stock_opening" VALUES('shop','mug','madrid',51,0,1,2,10);
INSERT INTO "stock_opening" VALUES('shop','pot','paris',15,4,0,0,11);
CREATE TABLE warehouse (
	organization_id TEXT NOT NULL, 
	warehouse_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	CONSTRAINT warehouse_key PRIMARY KEY (organization_id, warehouse_id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "warehouse" VALUES('other','madrid','madrid');
INSERT INTO "warehouse" VALUES('shop','madrid','Madrid');
INSERT INTO "warehouse" VALUES('shop','paris','Paris');
CREATE INDEX stock_by_warehouse ON stock (organization_id, warehouse_id, variant_id);
CREATE INDEX reservation_by_order ON reservation (organization_id, order_id);
CREATE INDEX reservation_by_state ON reservation (organization_id, state, reservation_id);
CREATE INDEX reservation_by_expiry ON reservation (expires_at, organization_id, reservation_id) WHERE state = 'active';
CREATE INDEX reservation_by_end ON reservation (ended_at, organization_id, reservation_id) WHERE ended_at IS NOT NULL;
CREATE INDEX request_by_age ON request (at, scope, request_id);
COMMIT;

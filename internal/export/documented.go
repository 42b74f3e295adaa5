package export

import (
	"fmt"
	"strings"

	"hikyaku/pkg/providers"
)

// documentedNames are the names of the fields that the providers' documents
// name, at whatever depth. An error may show them: any other name in a record
// may be what somebody typed.
var documentedNames = map[string]string{
	providers.Yappli: `id unique_id login_id rank secret_quetion secret_question point logined enabled point_geted_at logined_at created_at updated_at`,
	providers.SuperSaaS: `id fk name email full_name address phone mobile country timezone field_1 field_2 super_field credit role group
		created_on updated_on last_login deleted form start finish start_utc finish_utc schedule_id schedule_name resource_id res_name
		resource resource_name service_id service_name slot_id slot user_id price price_decimal status waitlisted title location count
		capacity bookings created_by updated_by`,
	providers.SHOPLINE: `id name email ref_user_id line_id phone phones mobile_phone mobile_phone_country_calling_code mobile_phone_verified gender
		birthday birth_year birth_month birth_day locale_code memo is_member is_blacklisted is_subscribed_marketing_email tags order_count
		orders_total_sum credit_balance member_point_balance membership_tier delivery_addresses custom_data created_by created_at
		updated_at registered_at level name_translations status order_number customer_id customer_name customer_email customer_phone
		customer_info currency_iso subtotal order_discount user_credit total order_payment order_delivery delivery_address delivery_data
		subtotal_items order_remarks confirmed_at completed_at payment_method_id payment_type payment_fee paid_at delivery_option_id
		platform delivery_status shipped_at arrived_at collected_at returned_at location_code location_name store_address
		tracking_number url item_type item_id sku quantity item_price title_translations fields_translations is_preorder child_products
		cents label country_code country city district state postcode address_1 address_2 recipient_name recipient_phone
		recipient_phone_country_code remarks field_id type value`,
	providers.AssistTencho: `serial_order_id`,
}

// yappliColumns is how many custom fields a member of Yappli has.
const yappliColumns = 50

// documented returns the documented names of a dataset's fields.
func (d Dataset) documented() map[string]bool {
	names := map[string]bool{}
	for name := range strings.FieldsSeq(documentedNames[d.Provider]) {
		names[name] = true
	}
	if d.Provider == providers.Yappli {
		for n := range yappliColumns {
			names[fmt.Sprintf("column%02d", n+1)] = true
		}
	}
	return names
}

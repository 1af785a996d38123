package ec2local

import (
	"fmt"
	"slices"
)

// quotaOperations are the actions of Service Quotas that this endpoint has. No quota is enforced.
var quotaOperations = map[string]operation{
	"GetAWSDefaultServiceQuota": readsJSON(getDefaultQuota),
	"GetServiceQuota":           readsJSON(getServiceQuota),
}

// A vcpuQuota is one of how many vCPUs instances of some families may have at once in a region.
type vcpuQuota struct {
	code, name string
	usual      float64 // before anybody has asked for more
}

// vcpuQuotas are those of EC2, on demand and for spot instances. Codes and names are those that
// Service Quotas lists; what is usual is what EC2's user guide says of new accounts.
var vcpuQuotas = []vcpuQuota{
	{"L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 5},
	{"L-DB2E81BA", "Running On-Demand G and VT instances", 0},
	{"L-417A185B", "Running On-Demand P instances", 0},
	{"L-74FC7D96", "Running On-Demand F instances", 0},
	{"L-1945791B", "Running On-Demand Inf instances", 0},
	{"L-2C3B7624", "Running On-Demand Trn instances", 0},
	{"L-6E869C2A", "Running On-Demand DL instances", 0},
	{"L-7295265B", "Running On-Demand X instances", 0},
	{"L-43DA4232", "Running On-Demand High Memory instances", 0},
	{"L-F7808C92", "Running On-Demand HPC instances", 0},
	{"L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 5},
	{"L-3819A6DF", "All G and VT Spot Instance Requests", 0},
	{"L-7212CCBC", "All P Spot Instance Requests", 0},
	{"L-88CF9481", "All F Spot Instance Requests", 0},
	{"L-B5D1601B", "All Inf Spot Instance Requests", 0},
	{"L-6B0D517C", "All Trn Spot Instance Requests", 0},
	{"L-85EED4F7", "All DL Spot Instance Requests", 0},
	{"L-E3A00192", "All X Spot Instance Requests", 0},
}

// A raisedQuota is one that the account has another value of than AWS gives. Its id is its code.
type raisedQuota struct {
	base
	Value float64 `json:"value"`
}

func (*raisedQuota) table() string { return "quota" }

// sowQuota has the account have another value of a quota.
func (c *call) sowQuota(code string, value float64) error {
	if _, err := quotaNamed("ec2", code); err != nil || value < 0 {
		return fmt.Errorf("quotas: %s is none of the quotas of vCPUs, or less than 0", code)
	}
	q := get[raisedQuota](c.txn, c.region, code)
	if q == nil {
		q = &raisedQuota{base: c.newBase(code)}
	}
	q.Value = value
	put(c.txn, q)
	return nil
}

type quotaRequest struct{ ServiceCode, QuotaCode string }

type quotaReply struct{ Quota quotaItem }

type quotaItem struct {
	ServiceCode, ServiceName       string
	QuotaArn, QuotaCode, QuotaName string
	Value                          float64
	Unit                           string
	Adjustable, GlobalQuota        bool
}

func quotaNamed(service, code string) (vcpuQuota, error) {
	i := slices.IndexFunc(vcpuQuotas, func(q vcpuQuota) bool { return q.code == code })
	if service != "ec2" || i < 0 {
		return vcpuQuota{}, fail("NoSuchResourceException", "This endpoint has no such quota.")
	}
	return vcpuQuotas[i], nil
}

func (c *call) quota(q vcpuQuota, value float64) *quotaReply {
	return &quotaReply{quotaItem{"ec2", "Amazon Elastic Compute Cloud (Amazon EC2)", arn("servicequotas", c.region, "ec2/"+q.code), q.code, q.name, value, "None", true, false}}
}

// getServiceQuota answers for those whose value the account has had set, as Service Quotas does.
func getServiceQuota(c *call, in *quotaRequest) (*quotaReply, error) {
	q, err := quotaNamed(in.ServiceCode, in.QuotaCode)
	if err != nil {
		return nil, err
	}
	raised := get[raisedQuota](c.txn, c.region, q.code)
	if raised == nil {
		return nil, fail("NoSuchResourceException", "The quota has AWS's value; quotas of the seed file gives it another one.")
	}
	return c.quota(q, raised.Value), nil
}

func getDefaultQuota(c *call, in *quotaRequest) (*quotaReply, error) {
	q, err := quotaNamed(in.ServiceCode, in.QuotaCode)
	if err != nil {
		return nil, err
	}
	return c.quota(q, q.usual), nil
}

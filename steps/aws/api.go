package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// call is an operation of EC2 as its client has it.
type call[In, Out any] func(context.Context, *In, ...func(*ec2.Options)) (*Out, error)

// API is every call that this package makes. It is functions rather than an
// interface that the client satisfies: the linker keeps all methods of what
// becomes an interface, and EC2 has
// almost 800 that nobody calls here.
type API struct {
	AuthorizeSecurityGroupIngress        call[ec2.AuthorizeSecurityGroupIngressInput, ec2.AuthorizeSecurityGroupIngressOutput]
	CancelImportTask                     call[ec2.CancelImportTaskInput, ec2.CancelImportTaskOutput]
	CopyImage                            call[ec2.CopyImageInput, ec2.CopyImageOutput]
	CreateImage                          call[ec2.CreateImageInput, ec2.CreateImageOutput]
	CreateSecurityGroup                  call[ec2.CreateSecurityGroupInput, ec2.CreateSecurityGroupOutput]
	RegisterImage                        call[ec2.RegisterImageInput, ec2.RegisterImageOutput]
	AttachVolume                         call[ec2.AttachVolumeInput, ec2.AttachVolumeOutput]
	DetachVolume                         call[ec2.DetachVolumeInput, ec2.DetachVolumeOutput]
	CreateSnapshot                       call[ec2.CreateSnapshotInput, ec2.CreateSnapshotOutput]
	CreateTags                           call[ec2.CreateTagsInput, ec2.CreateTagsOutput]
	CreateLaunchTemplateVersion          call[ec2.CreateLaunchTemplateVersionInput, ec2.CreateLaunchTemplateVersionOutput]
	DeleteKeyPair                        call[ec2.DeleteKeyPairInput, ec2.DeleteKeyPairOutput]
	DeleteSecurityGroup                  call[ec2.DeleteSecurityGroupInput, ec2.DeleteSecurityGroupOutput]
	DeleteSnapshot                       call[ec2.DeleteSnapshotInput, ec2.DeleteSnapshotOutput]
	DeleteTags                           call[ec2.DeleteTagsInput, ec2.DeleteTagsOutput]
	DeleteVolume                         call[ec2.DeleteVolumeInput, ec2.DeleteVolumeOutput]
	DeregisterImage                      call[ec2.DeregisterImageInput, ec2.DeregisterImageOutput]
	DescribeFastLaunchImages             call[ec2.DescribeFastLaunchImagesInput, ec2.DescribeFastLaunchImagesOutput]
	DescribeImages                       call[ec2.DescribeImagesInput, ec2.DescribeImagesOutput]
	DescribeImportImageTasks             call[ec2.DescribeImportImageTasksInput, ec2.DescribeImportImageTasksOutput]
	DescribeInstanceConnectEndpoints     call[ec2.DescribeInstanceConnectEndpointsInput, ec2.DescribeInstanceConnectEndpointsOutput]
	DescribeInstanceTypeOfferings        call[ec2.DescribeInstanceTypeOfferingsInput, ec2.DescribeInstanceTypeOfferingsOutput]
	DescribeInstances                    call[ec2.DescribeInstancesInput, ec2.DescribeInstancesOutput]
	DescribeKeyPairs                     call[ec2.DescribeKeyPairsInput, ec2.DescribeKeyPairsOutput]
	DescribeLaunchTemplateVersions       call[ec2.DescribeLaunchTemplateVersionsInput, ec2.DescribeLaunchTemplateVersionsOutput]
	DescribeLaunchTemplates              call[ec2.DescribeLaunchTemplatesInput, ec2.DescribeLaunchTemplatesOutput]
	DescribeSecurityGroups               call[ec2.DescribeSecurityGroupsInput, ec2.DescribeSecurityGroupsOutput]
	DescribeSnapshots                    call[ec2.DescribeSnapshotsInput, ec2.DescribeSnapshotsOutput]
	DescribeSpotPriceHistory             call[ec2.DescribeSpotPriceHistoryInput, ec2.DescribeSpotPriceHistoryOutput]
	DescribeSubnets                      call[ec2.DescribeSubnetsInput, ec2.DescribeSubnetsOutput]
	DescribeTags                         call[ec2.DescribeTagsInput, ec2.DescribeTagsOutput]
	DescribeVolumes                      call[ec2.DescribeVolumesInput, ec2.DescribeVolumesOutput]
	DescribeVpcs                         call[ec2.DescribeVpcsInput, ec2.DescribeVpcsOutput]
	DisableImageDeregistrationProtection call[ec2.DisableImageDeregistrationProtectionInput, ec2.DisableImageDeregistrationProtectionOutput]
	EnableFastLaunch                     call[ec2.EnableFastLaunchInput, ec2.EnableFastLaunchOutput]
	EnableImageDeprecation               call[ec2.EnableImageDeprecationInput, ec2.EnableImageDeprecationOutput]
	EnableImageDeregistrationProtection  call[ec2.EnableImageDeregistrationProtectionInput, ec2.EnableImageDeregistrationProtectionOutput]
	GetConsoleOutput                     call[ec2.GetConsoleOutputInput, ec2.GetConsoleOutputOutput]
	GetPasswordData                      call[ec2.GetPasswordDataInput, ec2.GetPasswordDataOutput]
	ImportImage                          call[ec2.ImportImageInput, ec2.ImportImageOutput]
	ImportKeyPair                        call[ec2.ImportKeyPairInput, ec2.ImportKeyPairOutput]
	ModifyImageAttribute                 call[ec2.ModifyImageAttributeInput, ec2.ModifyImageAttributeOutput]
	ModifyInstanceAttribute              call[ec2.ModifyInstanceAttributeInput, ec2.ModifyInstanceAttributeOutput]
	ModifyLaunchTemplate                 call[ec2.ModifyLaunchTemplateInput, ec2.ModifyLaunchTemplateOutput]
	ModifySnapshotAttribute              call[ec2.ModifySnapshotAttributeInput, ec2.ModifySnapshotAttributeOutput]
	RunInstances                         call[ec2.RunInstancesInput, ec2.RunInstancesOutput]
	StopInstances                        call[ec2.StopInstancesInput, ec2.StopInstancesOutput]
	TerminateInstances                   call[ec2.TerminateInstancesInput, ec2.TerminateInstancesOutput]
}

// newAPI is the calls of a client.
func newAPI(c *ec2.Client) API {
	return API{
		AuthorizeSecurityGroupIngress:        c.AuthorizeSecurityGroupIngress,
		CancelImportTask:                     c.CancelImportTask,
		CopyImage:                            c.CopyImage,
		CreateImage:                          c.CreateImage,
		CreateSecurityGroup:                  c.CreateSecurityGroup,
		RegisterImage:                        c.RegisterImage,
		AttachVolume:                         c.AttachVolume,
		DetachVolume:                         c.DetachVolume,
		CreateSnapshot:                       c.CreateSnapshot,
		CreateTags:                           c.CreateTags,
		CreateLaunchTemplateVersion:          c.CreateLaunchTemplateVersion,
		DeleteKeyPair:                        c.DeleteKeyPair,
		DeleteSecurityGroup:                  c.DeleteSecurityGroup,
		DeleteSnapshot:                       c.DeleteSnapshot,
		DeleteTags:                           c.DeleteTags,
		DeleteVolume:                         c.DeleteVolume,
		DeregisterImage:                      c.DeregisterImage,
		DescribeFastLaunchImages:             c.DescribeFastLaunchImages,
		DescribeImages:                       c.DescribeImages,
		DescribeImportImageTasks:             c.DescribeImportImageTasks,
		DescribeInstanceConnectEndpoints:     c.DescribeInstanceConnectEndpoints,
		DescribeInstanceTypeOfferings:        c.DescribeInstanceTypeOfferings,
		DescribeInstances:                    c.DescribeInstances,
		DescribeKeyPairs:                     c.DescribeKeyPairs,
		DescribeLaunchTemplateVersions:       c.DescribeLaunchTemplateVersions,
		DescribeLaunchTemplates:              c.DescribeLaunchTemplates,
		DescribeSecurityGroups:               c.DescribeSecurityGroups,
		DescribeSnapshots:                    c.DescribeSnapshots,
		DescribeSpotPriceHistory:             c.DescribeSpotPriceHistory,
		DescribeSubnets:                      c.DescribeSubnets,
		DescribeTags:                         c.DescribeTags,
		DescribeVolumes:                      c.DescribeVolumes,
		DescribeVpcs:                         c.DescribeVpcs,
		DisableImageDeregistrationProtection: c.DisableImageDeregistrationProtection,
		EnableFastLaunch:                     c.EnableFastLaunch,
		EnableImageDeprecation:               c.EnableImageDeprecation,
		EnableImageDeregistrationProtection:  c.EnableImageDeregistrationProtection,
		GetConsoleOutput:                     c.GetConsoleOutput,
		GetPasswordData:                      c.GetPasswordData,
		ImportImage:                          c.ImportImage,
		ImportKeyPair:                        c.ImportKeyPair,
		ModifyImageAttribute:                 c.ModifyImageAttribute,
		ModifyInstanceAttribute:              c.ModifyInstanceAttribute,
		ModifyLaunchTemplate:                 c.ModifyLaunchTemplate,
		ModifySnapshotAttribute:              c.ModifySnapshotAttribute,
		RunInstances:                         c.RunInstances,
		StopInstances:                        c.StopInstances,
		TerminateInstances:                   c.TerminateInstances,
	}
}

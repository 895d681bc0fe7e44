// Calls Codeup with the vendor's own client, and lets its schemas read the replies. The folder of
// the installed packages is the first argument, the organization the second, the repository the
// third. YUNXIAO_API_BASE_URL is where it calls.
const [installed, organization, repository] = process.argv.slice(2);
const load = (file) =>
  import(`${installed}/alibabacloud-devops-mcp-server/dist/operations/${file}.js`);

const { getCurrentUserFunc, getUserOrganizationsFunc, getOrganizationDepartmentsFunc,
  listOrganizationRolesFunc } = await load('organization/organization');
const { getOrganizationMembersFunc } = await load('organization/members');
const { listRepositoriesFunc, getRepositoryFunc } = await load('codeup/repositories');
const { listBranchesFunc, getBranchFunc } = await load('codeup/branches');
const { getCommit } = await load('codeup/commits');
const { getFileBlobsFunc } = await load('codeup/files');

await getCurrentUserFunc();
await getUserOrganizationsFunc();
await getOrganizationDepartmentsFunc(organization);
await listOrganizationRolesFunc(organization);
await getOrganizationMembersFunc(organization, 1, 100);
await listRepositoriesFunc(organization, 1, 20, undefined, undefined, 'hello');
await getRepositoryFunc(organization, repository);
await listBranchesFunc(organization, repository, 1, 1, undefined, 'main');
await getBranchFunc(organization, repository, 'feature/a');
const { commit } = await getBranchFunc(organization, repository, 'main');
await getCommit({ organizationId: organization, repositoryId: repository, sha: commit.id });
await getFileBlobsFunc(organization, repository, '目录/文件.txt', commit.id);
